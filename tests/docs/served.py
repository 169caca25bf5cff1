"""A served set for the commands of the pages, and the folder in which each page runs."""

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from service.client import Client
from service.evidence.keys import SigningKey
from service.infra.settings.api import ApiSettings
from shapshot import ExplanationCanceledError
from tests.conftest import started
from tests.docs.pages import ROOT, Block, blocks_of
from tests.e2e.deployed import deployed
from tests.live import live_api

TOLD = "http://127.0.0.1:8000"  # the address in the pages
PROGRAMS = ("bash", "curl", "jq")
HTTP_ERROR = 22  # exit code of curl
PATIENCE_S = 120  # bounds a hang and measures nothing
QUICK = {"masker": "mean", "max_evals": 50}


@dataclass(frozen=True)
class Served:
    """URLs of three APIs on one Redis, with one worker of the models of docs/adding_a_model.md.

    small: refuses more than 60 evaluations, so that defaults are quick. keyed: has keys.
    """

    url: str
    small: str
    keyed: str
    keys: Path


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Starts the set."""
    keys = folder / "keys" / "keys.jsonl"
    add = ["keys", "add", "first", "--scopes", "admin", "--file", str(keys)]
    subprocess.run([sys.executable, "-m", "service.cli", *add], check=True, capture_output=True)
    with ExitStack() as stack:
        redis = stack.enter_context(contextmanager(started)(remembers=False))
        signing_key = folder / "signing-key.pem"
        SigningKey.create(signing_key)
        variables = {
            "SHAPSHOT_MODELS": str(models_of_the_guide(folder)),
            "SHAPSHOT_SIGNING_KEY_FILE": str(signing_key),
        }
        both = stack.enter_context(deployed(folder, redis.url, **variables))
        settings = ApiSettings(redis_url=redis.url, store_url=f"file:{folder}/store")
        urls = {}
        small = {"MAX_EVALS": 60, "SIGNING_KEY_FILE": signing_key}
        for name, more in (("small", small), ("keyed", {"KEYS_FILE": keys})):
            place = folder / name
            place.mkdir()
            urls[name] = stack.enter_context(live_api(settings, place, **more)).url
        yield Served(both.url, urls["small"], urls["keyed"], keys)


def models_of_the_guide(folder: Path) -> Path:
    """Makes the file of models as the guide does, by its first blocks, with those of another."""
    (folder / "worker").symlink_to(ROOT / "worker")
    guides = ROOT / "docs" / "adding_a_model.md", ROOT / "docs" / "compare_models.md"
    for block in (*blocks_of(guides[0])[:2], *blocks_of(guides[1])[:1]):
        subprocess.run(["bash", "-ec", block.text], cwd=folder, check=True)
    listed = folder / "models" / "models.toml"
    with listed.open("a") as file:
        file.write((folder / "models" / "two.toml").read_text())
    return listed


@dataclass
class Walk:
    """One reader who pastes the blocks of a page in order, in a folder like a checkout."""

    folder: Path
    url: str
    served: Served
    names: dict[str, str] = field(default_factory=dict)  # placeholders of the page
    variables: dict[str, Any] = field(default_factory=dict)  # of Python

    def prepare(self) -> None:
        """Lays the files that pages name: a checkout, and photos of the reader's."""
        for name in ("service", "worker", "docker", "docs"):
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / ".venv").symlink_to(sys.prefix)
        cat = ROOT / "service" / "samples" / "cat.jpg"
        for name in ("photo.jpg", "photos/one.jpg", "photos/two.jpg"):
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            shutil.copy(cat, path)
        (self.folder / "more").mkdir()
        Image.open(cat).resize((90, 60)).save(self.folder / "more" / "three.png")
        (self.folder / ".curlrc").write_text("fail-with-body\nshow-error\n")
        with Client(self.url) as client:
            explanation = client.explain(cat, QUICK)
            batch = client.submit_batch([cat], QUICK)
        self.names = {"exp_…": explanation.id, "batch_…": batch.id, TOLD: self.url}
        self.names["https://example.org/"] = f"file://{self.folder}/"

    def translated(self, text: str, url: str) -> str:
        """The block with the address and the ids of this run."""
        for told, here in {**self.names, TOLD: url}.items():
            text = text.replace(told, here)
        return text

    def run(self, block: Block) -> None:
        """Runs a block of a shell or of Python. Raises AssertionError with what it printed."""
        url = self.served.keyed if block.note == "with keys" else self.url
        text = self.translated(block.text, url)
        if url == self.url:
            self._explain_ahead(text)
        if block.language == "python":
            self._run_python(text, block.place)
        else:
            self._run_shell(text, block, url)

    def _explain_ahead(self, text: str) -> None:
        """Explains what a command will wait for by `Prefer: wait`, so that a minute is enough."""
        for command in text.replace("\\\n", " ").split("curl")[1:]:
            pictures = re.findall(r"-F image=@(\S+)", command)
            settings = re.search(r"-F 'settings=(\{.*?\})'", command, re.DOTALL)
            if pictures and "Prefer: wait" in command and "label_map" not in command:
                asked = json.loads(settings[1]) if settings else {}
                with Client(self.url) as client:
                    client.explain_all([self.folder / name for name in pictures], asked)

    def _run_python(self, text: str, place: str) -> None:
        with chdir(self.folder), Client(self.url) as client, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of shap's import
            self.variables |= {
                "client": client,
                "explanation_id": self.names["exp_…"],
                "pictures": ["photos/one.jpg", "photos/two.jpg"],
                "settings": QUICK,
                "ExplanationCanceledError": ExplanationCanceledError,
            }
            exec(compile(text, place, "exec"), self.variables)  # noqa: S102

    def _run_shell(self, text: str, block: Block, url: str) -> None:
        """Variables that a block sets are known to those after it, as in one terminal."""
        code = block.noted("refused")
        script = f"set -a; [ ! -e .env ] || . ./.env; set -eo pipefail\n{text}\nexport -p > .env\n"
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "SHELL": "/bin/bash",
                "SHAPSHOT_URL": url,
                "LANG": "C.UTF-8",
            },
        )
        said = f"{block.place} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        if code is None:
            assert ended.returncode == 0, said
        else:
            assert ended.returncode == HTTP_ERROR, said
            assert f'"status":{code}' in ended.stdout, said
