"""Runs a contender in its own process, so that its memory and CPU seconds are its own.

The parent writes the number of evaluations, one line for each run; the child answers in JSON.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from benchmarks.contenders import Run

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
WARM_UP = 60  # evaluations: enough for every batch size to be compiled


@dataclass(frozen=True)
class Measurement:
    """One explanation: seconds, CPU seconds, and the peak memory of its process."""

    wall_s: float
    cpu_s: float
    peak_mb: float


class Child:
    """The process of a contender; a file has the values of its last explanation."""

    def __init__(self, case: str, contender: str) -> None:
        self._folder = tempfile.TemporaryDirectory()  # exists as long as the child
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

    def measure(self, max_evals: int) -> Measurement:
        """Let the process work once."""
        assert self._process.stdin
        print(max_evals, file=self._process.stdin, flush=True)
        return Measurement(**json.loads(self._answer()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contender died:\n{self._errors.read_text()}")
        return line


def main(case_name: str, contender: str, values: str) -> None:
    """Load, report it, and then work once for every line; a cold case prepares within its work."""
    from benchmarks.cases import CASES, load
    from benchmarks.contenders import CONTENDERS

    case = next(case for case in CASES if case.name == case_name)
    prepare = partial(CONTENDERS[contender], case, load(case))
    work = (lambda evals: prepare()(evals)) if case.cold else prepare()
    if not case.cold:
        work(WARM_UP)
    print("ready", flush=True)
    for line in sys.stdin:
        measurement, found = _measure(work, int(line))
        if found is not None:
            np.save(values, found)
        print(json.dumps(asdict(measurement)), flush=True)


def _measure(work: "Run", max_evals: int) -> tuple[Measurement, NDArray[np.float64] | None]:
    clock, cpu = time.perf_counter(), time.process_time()
    found = work(max_evals)
    wall_s, cpu_s = time.perf_counter() - clock, time.process_time() - cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measurement(wall_s, cpu_s, peak_mb), found


if __name__ == "__main__":
    main(*sys.argv[1:])
