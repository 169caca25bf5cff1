"""Runs tests on a mutant, in a copy of the project and a process that has the libraries loaded."""

import contextlib
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData

from tests.mutation.mutant import Mutant

ROOT = Path(__file__).parents[2]
OURS = ("service", "worker", "tests", "benchmarks")
LEFT_OUT = (".git", ".venv*", "build", "dist", "var", "*.egg-info")
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0")
TEST_TIMEOUT_S = 60  # a mutant may never end
RUN_TIMEOUT_S = 1800
MEMORY = 12 << 30  # bytes; a mutant may ask for any size
COVERED = ".coverage.of_tests"
NO_TESTS = 5  # pytest's exit status
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::\w+)", re.MULTILINE)


Reached = Mapping[str, Mapping[int, Sequence[str]]]  # tests by line, by file


def preload(tests: Sequence[str]) -> None:
    """Import what the tests import; what is ours is forgotten, as each mutant imports its own."""
    with _quiet(), warnings.catch_warnings():
        pytest.main([*OPTIONS, "--collect-only", "--no-summary", *tests])
        warnings.simplefilter("ignore")
        import shap  # noqa: F401 (a fixture imports it, which takes seconds)
    for name in list(sys.modules):
        if name.partition(".")[0] in OURS:
            del sys.modules[name]


class Copy:
    """A copy of the project, in which one mutant at a time is tested."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self._root = self._folder / "project"
        shutil.copytree(ROOT, self._root, ignore=shutil.ignore_patterns(*LEFT_OUT))

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def reached(self, files: Sequence[str], tests: Sequence[str]) -> Reached:
        """Find which tests reach which line of the unchanged files, by their dotted names.

        Of Hypothesis's tests there is none among them. Raises RuntimeError where a test fails.
        """
        if self._run(tests, covered=files):
            output = (self._folder / "output").read_text()
            raise RuntimeError(f"the tests fail without a mutant:\n{output}")
        data = CoverageData(str(self._root / COVERED))
        data.read()
        return {file: data.contexts_by_lineno(str(self._root / file)) for file in files}

    def noticed_by(self, mutant: Mutant, tests: Sequence[str]) -> str | None:
        """Run the tests until one fails; return its name, "" if the process ended without one.

        None where all pass.
        """
        file = self._root / mutant.file
        original = file.read_text()
        for bytecode in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):
            bytecode.unlink()
        file.write_text(mutant.source)
        try:
            if not self._run(tests):
                return None
            found = FAILED.search((self._folder / "output").read_text(errors="replace"))
            return found[1] if found else ""
        finally:
            file.write_text(original)

    def _run(self, tests: Sequence[str], *, covered: Sequence[str] = ()) -> int:
        temporary = self._folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException), _quiet(self._folder / "output"):
                os.setsid()  # so that what it starts is killed with it
                os.chdir(self._root)
                os.environ.update(TMPDIR=str(temporary), PYTHONDONTWRITEBYTECODE="1")
                tempfile.tempdir, sys.dont_write_bytecode = None, True
                sys.path[:] = [str(self._root), *(path for path in sys.path if path != str(ROOT))]
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                # Compiling shap may take a busy machine longer than any mutant is worth
                timeout = [] if covered else [f"--timeout={TEST_TIMEOUT_S}"]
                coverage = Coverage(COVERED, include=[f"{self._root}/{file}" for file in covered])
                coverage.set_option("run:dynamic_context", "test_function")
                with coverage.collect() if covered else contextlib.nullcontext():
                    status = pytest.main([*OPTIONS, *timeout, *tests])
                coverage.save()
                os._exit(status)
            os._exit(1)
        status = _end_of(child)
        if status == NO_TESTS:
            raise RuntimeError(f"no tests: {' '.join(tests)}")
        return status


def _end_of(child: int) -> int:
    until = time.monotonic() + RUN_TIMEOUT_S
    try:
        while time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


@contextlib.contextmanager
def _quiet(output: Path = Path(os.devnull)) -> Iterator[None]:
    """Write into a file what is printed, by C libraries too."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        for target, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, target)
            os.close(descriptor)
