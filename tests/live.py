"""The API as a process, with its log."""

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
    """A running `python -m service.api`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def live_api(settings: ApiSettings, folder: Path, **environment: object) -> Iterator[Live]:
    """Start the API with these settings and variables on a free port."""
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
    """Return the port of the API; 0 before it listens."""
    found = re.search(r"running on http://\S+:(\d+)", log.read_text())
    return int(found[1]) if found else 0
