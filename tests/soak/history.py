"""The history: lines of JSON for each call, its answer, and each fault.

All processes write to one pipe, a line at a time. A call is written before it is made, and its
answer after it arrives. So if the answer to one call precedes another call, the first had ended
when the second began, whatever the clocks of their processes say. A call without an answer may
have had its effect or not.

    {"line": "call", "call": "client-1.7", "who": "client-1", "op": "read", "id": "exp_…", "t": 3.1}
    {"line": "answer", "call": "client-1.7", "http": 200, "status": "running", …, "t": 3.2}
    {"line": "unknown", "call": "client-1.8", "reason": "ReadTimeout", "t": 9.9}
    {"line": "note", "who": "harness", "op": "fault", "kind": "kill_worker", …, "t": 4.0}

t: seconds of the machine's monotonic clock.
"""

import itertools
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LONGEST = 4096  # bytes that a pipe writes atomically: PIPE_BUF
END = b"\0"


class History:
    """One writer's end of the pipe."""

    def __init__(self, pipe: Path, who: str) -> None:
        self._who = who
        self._pipe = os.open(pipe, os.O_WRONLY | os.O_CLOEXEC)
        self._calls = itertools.count()

    @contextmanager
    def call(self, op: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Write a call and its answer, which the block fills in; an error leaves it unknown."""
        call = f"{self._who}.{next(self._calls)}"
        self._write("call", call=call, who=self._who, op=op, **arguments)
        answer: dict[str, Any] = {}
        try:
            yield answer
        except BaseException as error:
            self._write("unknown", call=call, reason=type(error).__name__)
            raise
        self._write("answer", call=call, **answer)

    def note(self, op: str, **fields: Any) -> None:
        """Write a note: an event that is not a call."""
        self._write("note", who=self._who, op=op, **fields)

    def _write(self, line: str, **fields: Any) -> None:
        event = {"line": line, **fields, "t": round(time.monotonic(), 4)}
        text = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        if len(text) > LONGEST:
            raise ValueError(f"a line may have {LONGEST} bytes to be written whole: {text[:200]!r}")
        os.write(self._pipe, text)


class HistoryFile:
    """The file of a history, and the pipe to it.

    A pipe is not affected by a writer's limit on files, or its full disk.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self.pipe = folder / "history.jsonl", folder / "history.pipe"
        os.mkfifo(self.pipe)
        self._end = os.open(self.pipe, os.O_RDWR | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._copy, name="history", daemon=True)
        self._thread.start()

    def writer(self, who: str) -> History:
        return History(self.pipe, who)

    def close(self) -> None:
        """Copy all that was written so far."""
        os.write(self._end, END)
        self._thread.join()
        os.close(self._end)
        self.pipe.unlink()

    def _copy(self) -> None:
        with self.path.open("wb", buffering=0) as file:
            while not (lines := os.read(self._end, 2**16)).endswith(END):
                file.write(lines)
            file.write(lines.removesuffix(END))
