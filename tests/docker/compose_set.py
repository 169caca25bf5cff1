"""A project of docker/compose.yaml under its own name, on a real Docker engine."""

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docker.manifests import ROOT

OLDEST_COMPOSE = (2, 24, 4)  # the first that knows !override
OF_PROJECT = "com.docker.compose.project"  # label of everything that Compose creates
PATIENCE_S = 900  # limit of every command except builds, and of every wait


def wait_for(condition: Callable[[], bool]) -> None:
    """Check a condition only four times a second, so as not to slow the containers down."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {PATIENCE_S} s"
        time.sleep(0.25)


class ComposeUnavailableError(Exception):
    """Docker or Compose is missing; the message says which, in one line."""


class CommandFailedError(Exception):
    """A command of docker or Compose failed; the message ends with its last output."""


def find_compose() -> list[str]:
    """Return the command of Compose: the variable COMPOSE, else the plugin or the program.

    Raises ComposeUnavailableError if it is missing or too old, or no engine answers.
    """
    if not shutil.which("docker"):
        raise ComposeUnavailableError("there is no `docker` on PATH")
    asked = _run(["docker", "version", "--format", "{{.Server.Version}}"])
    if asked.returncode:
        [*_, reason] = asked.stderr.strip().splitlines() or ["it says nothing"]
        raise ComposeUnavailableError(f"no Docker engine answers: {reason}")
    told = os.environ.get("COMPOSE")
    found = []
    for words in [told.split()] if told else [["docker", "compose"], ["docker-compose"]]:
        if shutil.which(words[0]):
            version = _run([*words, "version", "--short"]).stdout.strip()
            numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
            if numbers >= OLDEST_COMPOSE:
                return words
            found += [f"`{' '.join(words)}` is {version}"] if version else []
    oldest = ".".join(map(str, OLDEST_COMPOSE))
    raise ComposeUnavailableError(
        f"it needs Docker Compose {oldest} or newer, as `docker compose`, as `docker-compose` or "
        f"named by the variable COMPOSE; found {' and '.join(found) or 'none'}"
    )


@dataclass
class ComposeSet:
    """One project; its name is part of the names of all its containers, volumes and images."""

    words: Sequence[str]  # the command of Compose
    folder: Path  # of our configuration
    project: str
    port: int
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write its own docker/.env, so that the deployer's is neither read nor needed."""
        self._env_file = self.folder / f"{self.project}.env"
        self._override = self.folder / f"{self.project}.yaml"
        mine = f"env_file: !override [{{path: {json.dumps(str(self._env_file))}}}]"
        self._override.write_text(f"services: {{api: {{{mine}}}, worker: {{{mine}}}}}\n")
        self.settings["SHAPSHOT_PUBLISH"] = f"127.0.0.1:{self.port}"
        self.settings["SHAPSHOT_RATE_LIMIT"] = "off"  # results are read many times
        self.change_passwords()

    def change_passwords(self) -> None:
        for user in ("API", "WORKER"):
            self.settings[f"SHAPSHOT_REDIS_{user}_PASSWORD"] = secrets.token_hex(24)
        self.change()

    def change(self, **settings: str) -> None:
        """Change settings of API and workers; `up` applies them."""
        self.settings |= settings
        self._env_file.touch(mode=0o600)
        self._env_file.write_text("".join(f"{k}={v}\n" for k, v in self.settings.items()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *words: str, timeout_s: float | None = PATIENCE_S) -> str:
        """Run a command of Compose; return its output. Raises CommandFailedError.

        The variable COMPOSE_OVERRIDE names a file that is laid over ours, for example to let builds
        use the host's network.
        """
        files = [str(ROOT / "docker/compose.yaml"), str(self._override)]
        files += filter(None, [os.environ.get("COMPOSE_OVERRIDE")])
        named = [word for file in files for word in ("--file", file)]
        options = [
            "--ansi",
            "never",
            "--project-name",
            self.project,
            "--env-file",
            str(self._env_file),
            *named,
        ]
        return self._checked([*self.words, *options, *words], timeout_s)

    def docker(self, *words: str) -> str:
        return self._checked(["docker", *words], PATIENCE_S)

    def up(self, *words: str) -> None:
        """Start the services that do not run as described, and wait until all are healthy.

        `--wait` would fail on a busy machine as soon as one health check is late.
        """
        self.compose("up", "--detach", "--no-build", *words)
        wait_for(lambda: all(each["Health"]["Status"] == "healthy" for each in self.states()))

    def containers(self, service: str) -> list[dict[str, Any]]:
        """Return what the engine knows of a service's containers, stopped ones included."""
        ids = self.compose("ps", "--all", "--quiet", service).split()
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *ids))
        return found

    def states(self) -> list[dict[str, Any]]:
        """Return the states of all containers, stopped ones included."""
        ids = self.compose("ps", "--all", "--quiet").split()
        return [each["State"] for each in json.loads(self.docker("inspect", *ids))]

    def in_container(self, service: str, script: str) -> str:
        """Run a shell script in a container; return its output."""
        return self.compose("exec", "-T", service, "sh", "-euc", script)

    def logs(self, *words: str) -> str:
        return self.compose("logs", "--no-color", *words)

    def remove(self) -> None:
        """Remove the whole project with its images and volumes."""
        every = ("--profile", "keys")
        self.compose(
            *every, "down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5"
        )

    def left(self) -> list[str]:
        """Return what the engine still has of the project."""
        mine = ("--filter", f"label={OF_PROJECT}={self.project}", "--quiet")
        lists = (("ps", "--all"), ("volume", "ls"), ("network", "ls"), ("image", "ls", "--all"))
        return [f"{kind[0]} {each}" for kind in lists for each in self.docker(*kind, *mine).split()]

    def _checked(self, words: Sequence[str], timeout_s: float | None) -> str:
        strangers = ("SHAPSHOT_", "COMPOSE_")  # the deployer's variables, which Compose would read
        kept = {k: v for k, v in os.environ.items() if not k.startswith(strangers)}
        done = _run(words, environment=kept, timeout_s=timeout_s)
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
            raise CommandFailedError(f"{' '.join(words)} ended with {done.returncode}:\n{said}")
        return done.stdout


def _run(
    words: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    timeout_s: float | None = PATIENCE_S,
) -> subprocess.CompletedProcess[str]:
    """Run it in its own session, so that Ctrl-C reaches this process alone."""
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        env=environment,
        timeout=timeout_s,
        start_new_session=True,
    )
