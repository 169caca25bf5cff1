"""`python -m tests.mutation [PART ...]`: whether the tests of the queue notice a change of its Lua.

One operator, constant or call at a time is changed in every file of service/jobs/lua (or in
those named), and the tests that belong to it are run until one fails. Prints who was not noticed,
and the share noticed; fails below LEAST.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.jobs import scripts
from tests.mutation.lua import Mutant, mutants

LEAST = 0.95
TIMEOUT_S = 180  # of the tests of a mutant, which may never end
TESTS = (
    "scripts",
    "transitions",
    "edges",
    "ledger",
    "cache",
    "statistics",
    "batches",
    "owners",
    "worker_registry",
    "admission_limits",
)
TESTS = (*TESTS, "fair_queue", "redis_clock", "forged_jobs", "index")
SLOW = ("thousand", "interleaving", "never_drifts", "any_time")
FOLDER = Path(__file__).parent.parent / "jobs"
LUA = Path(scripts.__file__).parent / "lua"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, help="of all mutants, so many by chance")
    options = parser.parse_args()
    parts = options.parts or sorted(path.stem for path in LUA.glob("*.lua"))
    found = [each for part in parts for each in mutants(part, scripts.read_part(part))]
    if options.sample:
        found = random.Random(0).sample(found, min(options.sample, len(found)))  # noqa: S311
    if _run_tests(None, "--collect-only", "-qq", "--no-summary") or not _passes(None):
        print("the tests fail without a mutant")
        return 2
    missed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, passed in zip(found, pool.map(_passes, found), strict=True):
            if passed:
                missed += 1
                print(f"not noticed: {mutant}", flush=True)
    share = 1 - missed / len(found)
    print(f"{share:.1%} of {len(found)} mutants noticed")
    return 0 if share >= LEAST else 1


def _passes(mutant: Mutant | None) -> bool:
    """Run the tests in a process of their own, which has all imported that they import."""
    child = os.fork()
    if not child:
        os.setsid()  # so that it is killed with its Redis
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        with contextlib.suppress(BaseException):
            os._exit(_run_tests(mutant))
        os._exit(1)
    until = time.monotonic() + TIMEOUT_S
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        if time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.05)


def _run_tests(mutant: Mutant | None, *options: str) -> int:
    if mutant:
        read = scripts.read_part
        scripts.read_part = lambda part: mutant.source if part == mutant.part else read(part)
    names = [str(FOLDER / f"test_{name}.py") for name in TESTS]
    but = " and ".join(f"not {name}" for name in SLOW)
    plain = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    return pytest.main([*plain, "-k", but, *options, *names])


if __name__ == "__main__":
    sys.exit(main())
