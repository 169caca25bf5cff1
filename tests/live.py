"""The API as a process of its own, with a log to read."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.infra.settings.api import ApiSettings
from tests.conftest import wait_until


@dataclass(frozen=True)
class Live:
    """`python -m service.api`, serving."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def live_api(settings: ApiSettings, folder: Path, **environment: object) -> Iterator[Live]:
    """With these settings and more of them, on a free port."""
    log = folder / "api.log"
    named = {"REDIS_URL": settings.redis_url, "STORE_URL": settings.store_url, "PORT": 0}
    named |= {"QUEUE": settings.queue, **environment}
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.api"],
            stdout=output,
            stderr=output,
            env={**os.environ, **{f"SHAPSHOT_{name}": str(value) for name, value in named.items()}},
        )
    try:
        wait_until(lambda: bool(_port(log)) or process.poll() is not None, seconds=60)
        assert process.poll() is None, log.read_text()
        yield Live(process, _port(log), log)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _port(log: Path) -> int:
    """Where it listens; 0 before it does."""
    found = re.search(r"running on http://\S+:(\d+)", log.read_text())
    return int(found[1]) if found else 0
