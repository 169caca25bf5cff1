"""A Redis with the users that we ship, and one more that may read everything."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from service.jobs.redis_connections import connect
from tests.conftest import wait_until
from tests.docker.manifests import K8S, ROOT, read

OF_COMPOSE = (ROOT / "docker/redis/users.acl").read_text()
OF_KUBERNETES = read(K8S / "secrets.example.yaml")[0]["stringData"]["users.acl"]
WRITTEN = {  # the form of a password in each file: one has its SHA-256
    "#API_PASSWORD_SHA256": ">secret",
    "#WORKER_PASSWORD_SHA256": ">secret",
    ">API_PASSWORD": ">secret",
    ">WORKER_PASSWORD": ">secret",
}
USERS = {"compose": OF_COMPOSE, "kubernetes": OF_KUBERNETES}


@dataclass
class Guarded:
    """A server that keeps its data as the shipped one does, and has a log."""

    folder: Path
    binary: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    def url_of(self, user: str) -> str:
        return f"unix://{user}:secret@{self.socket}"

    @property
    def url(self) -> str:
        return self.url_of("admin")

    @property
    def log(self) -> str:
        return (self.folder / "redis.log").read_text()

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "appendonly": "yes",
            "save": "",
            "aclfile": f"{self.folder}/users.acl",
            "logfile": f"{self.folder}/redis.log",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen([self.binary, *words])
        wait_until(self._answers_or_ended, seconds=20)
        assert self.process.poll() is None, self.log

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def _answers_or_ended(self) -> bool:
        try:
            with connect(self.url) as admin:
                return bool(admin.ping())
        except redis.ConnectionError:
            return bool(self.process and self.process.poll() is not None)


@contextmanager
def guarded_by(users: str, binary: Path) -> Iterator[Guarded]:
    """Start a server with this ACL in its own folder."""
    for password, text in WRITTEN.items():
        users = users.replace(password, text)
    with tempfile.TemporaryDirectory(prefix="shapshot-") as name:
        server = Guarded(Path(name), binary)
        acl = f"{users.strip()}\nuser admin on >secret ~* &* +@all\n"
        (server.folder / "users.acl").write_text(acl)
        try:
            server.start()
            yield server
        finally:
            server.kill()
