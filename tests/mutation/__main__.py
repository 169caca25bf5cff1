"""`python -m tests.mutation [FILE ...]`: whether tests notice a change of the code they belong to.

One operator, constant or call at a time is changed in the engine (but its backends), in
service/jobs and its Lua, or in the files or folders named, and the tests that belong to it are run
until one fails. Prints the changes that no test noticed, and the share noticed. Known equivalents
(see equivalents.toml) are not tried. Fails where the tests notice less than LEAST of the others, or
where an entry of that list is no mutant any more.
"""

import argparse
import os
import queue
import random
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutation import equivalents, lua, python
from tests.mutation.equivalents import Equivalent
from tests.mutation.mutant import Mutant
from tests.mutation.runner import ROOT, Copy, Reached, preload

LEAST = 0.95
CODE = ("worker/engine", "service/jobs")
BACKENDS = "worker/engine/backends/"  # need TensorFlow, OpenVINO and JAX
SLOW = (  # tests of many orders of calls, which notice nothing that shorter ones do not
    "test_concurrent_reaps_requeue_each_job_once",
    "test_counts_stay_exact_under_concurrent_transitions",
    "test_in_any_interleaving_the_queue_is_sorted_and_each_flow_first_come_first_served",
)
CHOICE = ("-k", " and ".join(f"not {name}" for name in SLOW))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", default=CODE)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, help="of all mutants, so many by chance")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="try no more after")
    options = parser.parse_args()
    known = equivalents.read()
    listed = [mutant for file in {each.file for each in known} for mutant in mutants_of(file)]
    if gone := equivalents.stale(known, listed):
        print(*(f"in equivalents.toml, but no mutant: {each}" for each in gone), sep="\n")
        return 1
    found = [mutant for file in _files(options.files) for mutant in mutants_of(file)]
    if options.sample:
        found = random.Random(options.seed).sample(found, options.sample)  # noqa: S311
    known_mutants = [mutant for mutant in found if Equivalent.of(mutant) in known]
    tried = [mutant for mutant in found if Equivalent.of(mutant) not in known]
    noticed = _try(tried, options.jobs, options.minutes)
    if len(noticed) < len(tried):
        print(f"{len(tried) - len(noticed)} of {len(tried)} were not tried, for lack of time")
    enough = True
    equivalent = Counter(_group(mutant.file) for mutant in known_mutants)
    for group in sorted({_group(mutant.file) for mutant in noticed}):
        results = [result for mutant, result in noticed.items() if _group(mutant.file) == group]
        count = len(results) + equivalent[group]
        print(
            f"{group}: {sum(results) / count:.1%} of {count} mutants noticed, "
            f"{sum(results) / len(results):.1%} without {equivalent[group]} known equivalents"
        )
        enough = enough and sum(results) >= LEAST * len(results)
    return 0 if enough else 1


def _try(mutants: list[Mutant], jobs: int, minutes: float) -> dict[Mutant, bool]:
    """Find out of each whether a test notices it; of none that is not begun in time."""
    if not mutants:
        return {}
    files = sorted({mutant.file for mutant in mutants})
    tests = sorted({test for file in files for test in _tests_of(file)})
    preload([*CHOICE, *tests])
    copies = [Copy() for _ in range(jobs)]
    free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)
    noticing: defaultdict[str, list[str]] = defaultdict(list)  # tests, by file; the last one first
    until = time.monotonic() + 60 * minutes

    def is_noticed(mutant: Mutant) -> bool | None:
        if time.monotonic() > until:
            return None
        copy, earlier = free.get(), noticing[mutant.file]
        try:
            # A fixture or a cache may have reached the line for a test, and of Lua nothing is known
            first = _tests_reaching(mutant, reached) or list(earlier)
            by = copy.noticed_by(mutant, [*CHOICE, *first]) if first else None
            if by is None:
                by = copy.noticed_by(mutant, [*CHOICE, *_tests_of(mutant.file)])
        finally:
            free.put(copy)
        if by:
            earlier[:] = [by, *(test for test in earlier if test != by)]
        return by is not None

    try:
        reached = copies[0].reached(files, [*CHOICE, *tests])
        with ThreadPoolExecutor(jobs) as pool:
            results = {}
            for mutant, noticed in zip(mutants, pool.map(is_noticed, mutants), strict=True):
                if noticed is not None:
                    results[mutant] = noticed
                if noticed is False:
                    print(f"not noticed: {mutant}", flush=True)
            return results
    finally:
        for copy in copies:
            copy.remove()


def _files(names: list[str]) -> list[str]:
    found = set()
    for name in names:
        path = (ROOT / name).resolve()
        inside = [*path.rglob("*.py"), *path.rglob("*.lua")] if path.is_dir() else [path]
        found |= {str(file.relative_to(ROOT)) for file in inside}
    return sorted(file for file in found if not file.startswith(BACKENDS))


def mutants_of(file: str) -> list[Mutant]:
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
