"""Processes of a machine whose clock is wrong, by libfaketime; the monotonic clock is right."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LIBRARY = "*/faketime/libfaketime.so.1"


class NoFaketime(Exception):  # noqa: N818 - a fact, not a fault
    """libfaketime is not installed."""


def start_shifted(
    module: str, *words: object, shift_s: int, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Run `python -m module *words`, by a clock that is so far ahead. Raises NoFaketime."""
    found = sorted(Path("/usr/lib").glob(LIBRARY))
    if not found:
        raise NoFaketime("install it: apt-get install libfaketime")
    shifted = {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": f"{shift_s:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-m", module, *map(str, words)]
    with log.open("ab") as lines:
        return subprocess.Popen(
            command, env={**os.environ, **environment, **shifted}, stdout=lines, stderr=lines
        )
