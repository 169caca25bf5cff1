"""The revision changes with any source that can change values, so that no cached result is old."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worker.models.tiny_models import dense
from worker.revision import revision

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path):
    """Return the revision of a copy of all sources, and its folder."""
    for name in ("service", "worker"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.keras"))

    def look():
        command = [sys.executable, "-c", "from worker.revision import revision as r; print(r())"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return look, tmp_path


def test_every_source_that_affects_values_counts_and_no_other(copy):
    look, folder = copy
    seen = [look()]
    assert seen == [revision()]
    for name in (
        "worker/engine/methods/permutation.py",
        "worker/engine/backends/tensorflow.py",
        "worker/adapters/model_input.py",
        "service/images/rgb.py",
        "service/images/formats/tiff.py",
    ):
        with (folder / name).open("a") as file:
            file.write("# another\n")
        seen.append(look())
    (folder / "worker" / "engine" / "another.py").write_text("")
    seen.append(look())
    assert len(set(seen)) == 7
    (folder / "service" / "api" / "app.py").write_text("")
    assert look() == seen[-1]


def test_cards_have_the_revision_before_and_after_loading(serve, tmp_path):
    dense((8, 8, 3)).save(tmp_path / "a.keras")
    registry = serve('[models.a]\nfile = "a.keras"')
    assert [card.revision for card in registry.cards()] == [revision()]
    assert registry.get("a").card.revision == revision()
