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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}
WARM_UP = 60  # evaluations: enough to meet every batch size and compile all there is to compile


@dataclass(frozen=True)
class Measurement:
    """One explanation: by the clock, in CPU seconds of all threads, and the process's peak so far.

    ready_s: what the process took to prepare once its libraries and model were loaded.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    ready_s: float


class Child:
    """A contender waiting in its process; values of its last explanation lie in a file."""

    def __init__(self, case: str, contender: str) -> None:
        self.values = Path(tempfile.mkdtemp()) / "values.npy"
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
    """Prepare, say so, and then work once for every line."""
    from benchmarks.cases import CASES, load
    from benchmarks.contenders import CONTENDERS

    case = next(case for case in CASES if case.name == case_name)
    subject = load(case)
    start = time.perf_counter()
    run = CONTENDERS[contender](case, subject)
    if not case.cold:
        run(WARM_UP)
    ready_s = time.perf_counter() - start
    print("ready", flush=True)
    for _ in sys.stdin:
        clock, cpu = time.perf_counter(), time.process_time()
        result = run(case.max_evals)
        wall_s, cpu_s = time.perf_counter() - clock, time.process_time() - cpu
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if result is not None:
            np.save(values, result)
        answer = {"wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": peak_mb, "ready_s": ready_s}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
