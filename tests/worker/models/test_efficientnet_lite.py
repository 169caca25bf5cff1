"""The packaged ImageNet network: its file, its scores, its labels, and photos."""

import json
import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import service
from service.schemas.models import ModelStatus
from tests.extras import QUICKLY, import_or_skip
from tests.worker.models.efficientnet_in_numpy import scores_of
from worker.adapters.model_input import fit_picture
from worker.models.efficientnet_lite import efficientnet_lite0
from worker.models.errors import ModelUnavailableError
from worker.models.packaged import PACKAGES, open_packaged
from worker.models.registry import read_registry
from worker.models.torch_file import read_tensors

PACKAGE = PACKAGES["efficientnet-lite0"]
SAMPLES = Path(service.__file__).parent / "samples"
SHAPE = (224, 224, 3)


def photo(name):
    """A photo fitted as the worker does, (224, 224, 3) float32."""
    with Image.open(SAMPLES / name) as picture:
        return fit_picture(np.asarray(picture.convert("RGB")), SHAPE, fit="crop")[0]


@pytest.fixture(scope="module")
def file():
    import_or_skip(PACKAGE.module)
    return Path(find_spec(PACKAGE.module).origin).parent / PACKAGE.file


@pytest.fixture(scope="module")
def arrays(file):
    return read_tensors(file, PACKAGE.pinned)


@pytest.fixture(scope="module")
def model(arrays):
    return efficientnet_lite0(arrays)


def test_the_file_has_the_parameters_that_its_authors_publish(arrays):
    trained = [name for name in arrays if "running" not in name and "num_batches" not in name]
    assert sum(arrays[name].size for name in trained) == 4_652_008
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_scores_are_those_of_the_network_written_in_numpy(model, arrays):
    noise = np.random.default_rng(0).integers(0, 256, SHAPE)
    pictures = np.stack([photo("coffee.jpg"), photo("cat.jpg"), noise, np.zeros(SHAPE)])
    scores = np.asarray(model(pictures.astype(np.float32)))
    expected = [scores_of(arrays, picture.astype(np.float64)) for picture in pictures]
    np.testing.assert_allclose(scores, expected, atol=3e-6)
    assert scores.max() > 0.9


def test_scores_are_the_same_where_keras_runs_on_jax(model):
    import_or_skip("jax")
    code = """
        import json
        import numpy as np
        from worker.models.packaged import open_packaged
        picture = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.float32)
        print(json.dumps(np.asarray(open_packaged("efficientnet-lite0")(picture)).tolist()))
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": QUICKLY},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    picture = np.random.default_rng(0).integers(0, 256, (1, *SHAPE)).astype(np.float32)
    here = np.asarray(model(picture))
    np.testing.assert_allclose(json.loads(ended.stdout.splitlines()[-1]), here, atol=3e-6)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"_fc.bias": None}, r"array _fc\.bias of shape \(1000,\) is needed; received none"),
        ({"_bn0.bias": np.zeros(31)}, r"_bn0\.bias of shape \(32,\) .* one of shape \(31,\)"),
        ({"_blocks.7._bn2.num_batches_tracked": None}, "num_batches_tracked of shape"),
        ({"_blocks.16._bn0.bias": np.zeros(3)}, r"has no arrays named \['_blocks.16._bn0.bias'\]"),
    ],
)
def test_unexpected_arrays_are_refused(arrays, changes, reason):
    others = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
    with pytest.raises(ModelUnavailableError, match=reason):
        efficientnet_lite0(others)


def test_a_package_with_another_file_is_refused_and_its_code_is_not_run(tmp_path, monkeypatch):
    folder = tmp_path / PACKAGE.module
    (folder / PACKAGE.file).parent.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, PACKAGE.module, raising=False)
    with pytest.raises(ModelUnavailableError, match=f"has no {PACKAGE.file}"):
        open_packaged("efficientnet-lite0")
    (folder / PACKAGE.file).write_bytes(b"\0" * PACKAGE.pinned.size)
    with pytest.raises(
        ModelUnavailableError, match=r"^efficientnet\S+ has the sha256 .*; expected 5793"
    ):
        open_packaged("efficientnet-lite0")


def test_the_bundled_default_recognizes_photos(file):
    registry = read_registry(None, weights_cache=None)
    assert registry.default == "imagenet"
    served = registry.get("imagenet")
    assert served.card.status is ModelStatus.AVAILABLE
    assert served.card.input_shape == SHAPE
    scores = served.predictor(np.stack([photo("coffee.jpg"), photo("cat.jpg")]))
    coffee, cat = scores.argsort()[:, ::-1]
    assert served.labels[coffee[0]] == "espresso"
    assert scores[0, coffee[0]] > 0.9
    assert {served.labels[k] for k in cat[:3]} == {"Egyptian cat", "tiger cat", "tabby cat"}


def test_without_its_extra_another_model_is_the_default_and_the_card_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE.module, None)  # as if it were not installed
    registry = read_registry(None, weights_cache=None)
    assert registry.default == "cifar10"
    registry.load("imagenet")
    [card] = [card for card in registry.cards() if card.name == "imagenet"]
    assert card.status is ModelStatus.UNAVAILABLE
    assert card.reason == (
        "package efficientnet-lite0 needs the extra imagenet: pip install 'shapshot[imagenet]'"
    )
