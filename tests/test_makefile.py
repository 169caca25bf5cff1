"""The environment that `make` uses for each Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def made(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Returns the commands that `make test` would run."""
    above = ("MAKEFLAGS", "MAKELEVEL", "PYTHON")
    env = {name: value for name, value in os.environ.items() if name not in above}
    command = ["make", "--dry-run", "test", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(MAKEFILE, tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("present", "words", "venv"),
    [
        (None, [], ".venv"),
        (None, [f"PYTHON={sys.executable}"], ".venv"),
        (HERE, [f"PYTHON={sys.executable}"], ".venv"),
        ("3.10", [f"PYTHON={sys.executable}"], f".venv-{HERE}"),
        ("3.10", [], ".venv"),
    ],
)
def test_an_environment_of_another_python_is_not_used(
    folder: Path, present: str | None, words: list[str], venv: str
) -> None:
    if present:
        (folder / ".venv" / "bin").mkdir(parents=True)
        for name in ("python", f"python{present}"):
            (folder / ".venv" / "bin" / name).touch()
    command = made(folder, *words).stdout.splitlines()[-1]
    assert command.startswith(f"{venv}/bin/python -m pytest")


def test_a_python_that_does_not_run_is_named(folder: Path) -> None:
    ended = made(folder, "PYTHON=no-python")
    assert ended.returncode
    assert "PYTHON=no-python does not run" in ended.stderr
