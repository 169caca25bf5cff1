"""One contender in a process of its own, so that its memory and its CPU seconds are its own.

The parent writes a line to have the work done once; the child answers with a line of JSON.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
WARM_UP = 60  # evaluations: enough to meet every batch size and compile all there is to compile


@dataclass(frozen=True)
class Measurement:
    """One explanation: by the clock, in CPU seconds, and the peak memory of its process."""

    wall_s: float
    cpu_s: float
    peak_mb: float


class Child:
    """A contender waiting in its process; values of its last explanation lie in a file."""

    def __init__(self, case: str, contender: str) -> None:
        self._folder = tempfile.TemporaryDirectory()  # lives as long as the child
        self.values = Path(self._folder.name) / "values.npy"
        self._errors = self.values.with_name("errors.txt")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.process", case, contender, str(self.values)],
            env=os.environ | QUIET,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors.open("w"),
            text=True,
        )
        self._answer()

    def measure(self) -> Measurement:
        """Have the work done once."""
        assert self._process.stdin
        print("run", file=self._process.stdin, flush=True)
        return Measurement(**json.loads(self._answer()))

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contender died:\n{self._errors.read_text()}")
        return line


def main(case_name: str, contender: str, values: str) -> None:
    """Load, say so, and then work once for every line; a cold case prepares within its work."""
    from benchmarks.cases import CASES, load
    from benchmarks.contenders import CONTENDERS

    case = next(case for case in CASES if case.name == case_name)
    prepare = partial(CONTENDERS[contender], case, load(case))
    work = (lambda evals: prepare()(evals)) if case.cold else prepare()
    if not case.cold:
        work(WARM_UP)
    print("ready", flush=True)
    for _ in sys.stdin:
        measurement = _measure(lambda: _keep(values, work(case.max_evals)))
        print(json.dumps(asdict(measurement)), flush=True)


def _measure(work: Callable[[], None]) -> Measurement:
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    wall_s, cpu_s = time.perf_counter() - clock, time.process_time() - cpu
    return Measurement(wall_s, cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _keep(path: str, values: NDArray[np.float64] | None) -> None:
    if values is not None:
        np.save(path, values)


if __name__ == "__main__":
    main(*sys.argv[1:])
