"""Log files that child processes append to, across restarts; rotated by size."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

LOG_BYTES = 10 * 2**20  # size at which a file is rotated
KEPT = 5  # rotated files: NAME.log.1 is the latest


def note(log: Path, text: str) -> None:
    """Append a line of the supervisor, if the disk has room."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with suppress(OSError), log.open("a") as lines:
        lines.write(f"==== {moment} {text} ====\n")


def rotate(log: Path) -> None:
    """Rotate the file if it is large enough. Raises OSError.

    Copies the file and truncates it: a process that has it open continues at its start. A line
    written between copy and truncation is lost.
    """
    if not log.exists() or log.stat().st_size < LOG_BYTES:
        return
    copy = log.with_name(f"{log.name}.new")
    try:
        shutil.copyfile(log, copy)
    except OSError:
        with suppress(OSError):
            copy.unlink()  # a partial copy only wastes space
        raise
    for number in range(KEPT, 1, -1):
        if (younger := _rotated(log, number - 1)).exists():
            younger.replace(_rotated(log, number))
    copy.replace(_rotated(log, 1))
    os.truncate(log, 0)


def _rotated(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
