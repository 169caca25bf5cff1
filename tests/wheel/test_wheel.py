"""The built wheel, installed away from the sources: `make wheel-test`."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.live import live_api

ROOT = Path(__file__).parents[2]
SOURCES = ("service", "shapshot", "worker", "pyproject.toml", "README.md", "LICENSE")

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1200)]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of SHAPSHOT_WHEEL, or one built from a copy of the sources."""
    if given := os.environ.get("SHAPSHOT_WHEEL"):
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(folder))
    [built] = folder.glob("*.whl")
    return built


def pip(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *words], check=True)


def installed(folder: Path, wheel: Path, extras: str = "") -> Path:
    """The bin folder of a new environment with the wheel."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    programs = folder / "venv" / "bin"
    pinned = ("--constraint", str(ROOT / "constraints.txt"))
    pip(
        "--python", str(programs / "python"), "install", "--no-compile", *pinned, f"{wheel}{extras}"
    )
    return programs


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in an empty folder, without variables that lead Python to the sources."""
    elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=elsewhere)


CLIENT = """
    import asyncio, sys
    from importlib import metadata
    from pathlib import Path
    import service, shapshot, worker
    from shapshot import AsyncClient, Client, ShapshotError, to_shap

    needed = {r for r in metadata.requires("shapshot") if "extra ==" not in r}
    assert {r.split(">")[0] for r in needed} == {"httpx", "numpy", "pydantic"}, needed
    present = {each.name for each in metadata.distributions()}
    assert not present & {"redis", "rq", "obstore", "structlog", "fastapi", "tensorflow"}, present
    for package in (service, shapshot, worker):
        assert Path(package.__file__).with_name("py.typed").is_file(), package

    url = sys.argv[1]
    with Client(url, retry_s=0) as client:
        assert client.models().items == []
        try:
            client.submit(Path(sys.argv[2]))
        except ShapshotError as refused:
            print(refused.problem.code)

    async def ask():
        async with AsyncClient(url) as client:
            return await client.list()

    assert asyncio.run(ask()).items == []
    try:
        to_shap([])
    except ImportError as error:
        print(error)
"""


def test_the_wheel_alone_is_the_client(wheel, tmp_path, settings):
    programs = installed(tmp_path, wheel)
    picture = ROOT / "service" / "samples" / "cat.jpg"
    with live_api(settings, tmp_path) as live:
        code = textwrap.dedent(CLIENT)
        ended = run(programs / "python", "-W", "error", "-c", code, live.url, picture, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0] == "no_worker"
    assert "shap" in ended.stdout.splitlines()[1]
    program = shutil.copy(Path(__file__).with_name("typed_program.py"), tmp_path)
    strict = ("--strict", "--config-file", os.devnull, "--python-executable", programs / "python")
    checked = run(sys.executable, "-m", "mypy", *strict, program, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    for command in ((programs / "shapshot", "models"), (programs / "python", "-m", "service")):
        told = run(*command, cwd=tmp_path)
        assert told.returncode == 1
        assert re.fullmatch(r"shapshot: .*pip install 'shapshot\[service\]'.*\n", told.stderr)


def test_the_whole_wheel_explains_the_sample(wheel, tmp_path, redis_server):
    programs = installed(tmp_path, wheel, "[service,worker,imagenet]")
    (tmp_path / "empty").mkdir()
    command = (programs / "shapshot", "up", "--once", "--port", "0")
    ended = run(*command, cwd=tmp_path / "empty")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "espresso" in ended.stdout
    assert "evaluations of imagenet" in ended.stdout
    assert (tmp_path / "empty" / "var" / "heatmap.png").read_bytes().startswith(b"\x89PNG")
