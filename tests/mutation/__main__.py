"""`python -m tests.mutation [FILE ...]`: whether tests notice a change of the code they belong to.

One operator, constant or call at a time is changed in the engine (but its backends), in
service/jobs and its Lua, or in the files or folders named, and the tests that belong to it are run
until one fails. Prints the changes that no test noticed, and the share noticed; fails below LEAST.
"""

import argparse
import os
import queue
import random
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutation import lua, python
from tests.mutation.mutant import Mutant
from tests.mutation.runner import ROOT, Copy, Reached, preload

LEAST = 0.95
CODE = ("worker/engine", "service/jobs")
BACKENDS = "worker/engine/backends/"  # need TensorFlow, OpenVINO and JAX
# They try many orders of calls, and notice nothing that shorter tests do not
SLOW = ("thousand", "interleaving", "never_drifts", "any_time")
CHOICE = ("-k", " and ".join(f"not {name}" for name in SLOW))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", default=CODE)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, help="of all mutants, so many by chance")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    options = parser.parse_args()
    found = [mutant for file in _files(options.files) for mutant in _mutants(file)]
    if options.sample:
        chosen = random.Random(options.seed).sample(range(len(found)), options.sample)  # noqa: S311
        found = [found[i] for i in sorted(chosen)]
    files = sorted({mutant.file for mutant in found})
    tests = sorted({test for file in files for test in _tests_of(file)})
    preload([*CHOICE, *tests])
    copies = [Copy() for _ in range(options.jobs)]
    free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)

    def passes(mutant: Mutant) -> bool:
        copy = free.get()
        try:
            first = _tests_reaching(mutant, reached)
            missed = not first or copy.passes(mutant, [*CHOICE, *first])
            # A fixture or a cache may have reached the line for a test
            return missed and copy.passes(mutant, [*CHOICE, *_tests_of(mutant.file)])
        finally:
            free.put(copy)

    tried, missed = defaultdict(int), defaultdict(int)
    try:
        reached = copies[0].reached(files, [*CHOICE, *tests])
        with ThreadPoolExecutor(options.jobs) as pool:
            for mutant, passed in zip(found, pool.map(passes, found), strict=True):
                tried[_group(mutant.file)] += 1
                missed[_group(mutant.file)] += passed
                if passed:
                    print(f"not noticed: {mutant}", flush=True)
    finally:
        for copy in copies:
            copy.remove()
    for group, count in tried.items():
        print(f"{group}: {1 - missed[group] / count:.1%} of {count} mutants noticed")
    return 0 if all(missed[group] <= (1 - LEAST) * tried[group] for group in tried) else 1


def _files(names: list[str]) -> list[str]:
    found = set()
    for name in names:
        path = (ROOT / name).resolve()
        inside = [*path.rglob("*.py"), *path.rglob("*.lua")] if path.is_dir() else [path]
        found |= {str(file.relative_to(ROOT)) for file in inside}
    return sorted(file for file in found if not file.startswith(BACKENDS))


def _mutants(file: str) -> list[Mutant]:
    source = (ROOT / file).read_text()
    return list((lua if file.endswith(".lua") else python).mutants(file, source))


def _group(file: str) -> str:
    folder = "/".join(Path(file).parts[:2])
    return f"{folder}, {'Lua' if file.endswith('.lua') else 'Python'}"


def _tests_of(file: str) -> list[str]:
    """Find the files of tests in the folder that mirrors its own, and of its name."""
    path, tests = Path(file.replace("/lua/", "/")), ROOT / "tests"
    found = {*(tests / Path(*path.parts[1:-1])).rglob("test_*.py")}
    found |= {*(tests / "worker").glob(f"test_{path.stem}.py")}  # of jobs, as a worker uses them
    return sorted(str(test.relative_to(ROOT)) for test in found if test.parent.name != "backends")


def _tests_reaching(mutant: Mutant, reached: Reached) -> list[str]:
    """Find the tests in those files that reach the changed lines."""
    names = {name for line in mutant.lines for name in reached[mutant.file].get(line, [])}
    paths = (name.replace(".", "/").rpartition("/") for name in sorted(names))
    return [
        f"{path}.py::{test}" for path, _, test in paths if f"{path}.py" in _tests_of(mutant.file)
    ]


if __name__ == "__main__":
    sys.exit(main())
