"""Log files that processes append to, over all their starts; rotated by size."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

LOG_BYTES = 10 * 2**20  # a file that has grown so large is rotated
KEPT = 5  # rotated files: NAME.log.1 is the latest


def note(log: Path, text: str) -> None:
    """Append a line of ours, if the disk has room."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with suppress(OSError), log.open("a") as lines:
        lines.write(f"==== {moment} {text} ====\n")


def rotate(log: Path) -> None:
    """Move the content of a file that is large enough to its first rotated one. Raises OSError.

    It is copied, and the file emptied: a process that has it open goes on at its beginning. A line
    that is written between the two is lost.
    """
    if not log.exists() or log.stat().st_size < LOG_BYTES:
        return
    copy = log.with_name(f"{log.name}.new")
    try:
        shutil.copyfile(log, copy)
    except OSError:
        with suppress(OSError):
            copy.unlink()  # half of it would only take room
        raise
    for number in range(KEPT, 1, -1):
        if (younger := _rotated(log, number - 1)).exists():
            younger.replace(_rotated(log, number))
    copy.replace(_rotated(log, 1))
    os.truncate(log, 0)


def _rotated(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
