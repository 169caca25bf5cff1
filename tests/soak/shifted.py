"""Processes with a wrong wall clock, by libfaketime; their monotonic clock is right."""

import os
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

LIBRARY = "*/faketime/libfaketime.so.1"


def can_shift() -> bool:
    """Return whether libfaketime is installed."""
    return bool(_libraries())


def _libraries() -> list[Path]:
    return sorted(Path("/usr/lib").glob(LIBRARY))


def start_shifted(
    module: str, *words: object, shift_s: int, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Run `python -m module *words` with its clock this far ahead."""
    shifted = {
        "LD_PRELOAD": str(_libraries()[0]),
        "FAKETIME": f"{shift_s:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-m", "tests.soak.shifted", module, *map(str, words)]
    with log.open("ab") as lines:
        return subprocess.Popen(
            command, env={**os.environ, **environment, **shifted}, stdout=lines, stderr=lines
        )


def _sleep(seconds: float) -> None:
    """Sleep as time.sleep, which fails with EINVAL under libfaketime 0.9.10."""
    threading.Event().wait(seconds)


if __name__ == "__main__":
    time.sleep = _sleep
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
