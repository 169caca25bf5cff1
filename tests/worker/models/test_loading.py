"""Real tiny models from a models file: which are served, which are refused, and why."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from service.schemas.models import ModelStatus
from tests.worker.models.tiny_models import channel_means, dense, export
from worker.models.applications import keras_downloads
from worker.models.preprocessing import NAMED
from worker.models.registry import read_registry

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 256, (3, 8, 8, 3)).astype(np.float32)  # (N, H, W, C)


@pytest.fixture(scope="module")
def network():
    """Make a network of four probabilities with a layer of augmentation, which must not act."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.RandomFlip(),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


LABELS = ["k", "l\x0bl\x0cl", "m\u2028m\x85", "n n"]
AS_EDITORS_WRITE_THEM = {
    "with a byte order mark": b"\xef\xbb\xbf" + "\n".join(LABELS).encode(),
    "with the line ends of Windows": "\r\n".join([*LABELS, ""]).encode(),
    "with the line ends of old Macs": "\r".join(LABELS).encode(),
    "with white space around": "\n".join(f"\t {label} " for label in LABELS).encode() + b"\n\n \n",
}


@pytest.mark.parametrize("content", AS_EDITORS_WRITE_THEM.values(), ids=AS_EDITORS_WRITE_THEM)
def test_labels_are_read_as_editors_write_them(serve, network, tmp_path, content):
    """Unicode's other line ends, and those of old printers, are parts of labels."""
    network.save(tmp_path / "a.keras")
    (tmp_path / "labels.txt").write_bytes(content)
    model = serve('[models.a]\nfile = "a.keras"\nlabels = "labels.txt"\n').get("a")
    assert model.labels == ["k", "l\x0bl\x0cl", "m\u2028m", "n n"]


def test_labels_in_another_encoding_are_reported_with_the_position(serve, network, tmp_path):
    network.save(tmp_path / "a.keras")
    (tmp_path / "labels.txt").write_bytes("k\nl\nZo\u00eb\nn".encode("latin-1"))
    [card] = serve('[models.a]\nfile = "a.keras"\nlabels = "labels.txt"\n').cards()
    assert card.status is ModelStatus.UNAVAILABLE
    assert "labels: labels.txt is not UTF-8 at byte 6 (0xeb, in line 3)" in card.reason
    assert str(tmp_path) not in card.reason


# --- What is served -----------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["a.keras", "a.h5"])
def test_a_keras_file_gives_the_scores_of_its_network_in_inference(serve, network, tmp_path, file):
    network.save(tmp_path / file)
    model = serve(
        f'[models.a]\nfile = "{file}"\npreprocessing = "unit"\nlabels = ["k", "l", "m", "n"]\n'
    ).get("a")
    expected = np.asarray(network(PHOTOS / 255, training=False))
    for _ in range(3):  # active augmentation would flip some
        np.testing.assert_allclose(model.predictor(PHOTOS), expected, rtol=1e-5)
    assert model.labels == ["k", "l", "m", "n"]
    assert model.card.labels == model.labels
    assert model.card.status is ModelStatus.AVAILABLE
    assert (model.card.input_shape, model.card.output_count) == ((8, 8, 3), 4)
    assert model.card.dtype == "float32"
    assert model.card.preprocessing == "unit: (x - 0) / 255"


def test_a_saved_model_gives_the_scores_of_the_network_it_was_exported_from(serve, tmp_path):
    exported = dense((8, 8, 3))
    exported.export(tmp_path / "exported", verbose=False)
    model = serve('[models.a]\nsaved_model = "exported"\npreprocessing = "tf"').get("a")
    expected = np.asarray(exported(PHOTOS / 127.5 - 1))
    np.testing.assert_allclose(model.predictor(PHOTOS), expected, rtol=1e-5)
    assert model.labels == ["0", "1"]
    assert model.card.fingerprint.startswith("sha256:")


def test_a_saved_model_of_whole_numbers_gets_pixel_values_rounded(serve, tmp_path):
    export(tmp_path / "means", tf.TensorSpec((None, 8, 8, 3), tf.uint8), {"scores": channel_means})
    model = serve('[models.a]\nsaved_model = "means"').get("a")
    pictures = np.full((2, 8, 8, 3), 41.7, np.float32)
    np.testing.assert_array_equal(model.predictor(pictures), np.full((2, 3), 42.0))


def test_an_application_gets_its_own_preprocessing(serve, tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join(f"class {k}" for k in range(1000)) + "\n")
    model = serve(
        '[models.a]\napplication = "MobileNet"\nweights = "none"\ninput_shape = [32, 32, 3]\n'
        'labels = "labels.txt"\n'
    ).get("a")
    keras.utils.set_random_seed(0)
    same = keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3))
    photos = RNG.integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    expected = same(keras.applications.mobilenet.preprocess_input(photos.copy()), training=False)
    np.testing.assert_allclose(model.predictor(photos), expected, rtol=1e-4)
    assert model.labels[999] == "class 999"
    assert model.card.preprocessing == "preprocess_input of keras.applications for MobileNet"


def test_a_model_of_open_size_takes_the_size_of_the_file(serve, tmp_path):
    open_size = keras.Sequential(
        [keras.Input((None, None, 1)), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )
    open_size.save(tmp_path / "a.keras")
    model = serve('[models.a]\nfile = "a.keras"\ninput_shape = [6, 9, 1]').get("a")
    assert model.predictor.input_shape == (6, 9, 1)


# --- Preprocessing ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_a_named_preprocessing_is_that_of_keras(mode):
    before = PHOTOS.copy()
    oracle = keras.applications.imagenet_utils.preprocess_input(PHOTOS.copy(), mode=mode)
    np.testing.assert_allclose(NAMED[mode](PHOTOS), oracle, atol=1e-5)
    np.testing.assert_allclose(NAMED[mode](tf.constant(PHOTOS)), oracle, atol=1e-5)
    np.testing.assert_array_equal(PHOTOS, before)


# --- Digests ------------------------------------------------------------------------------------


def test_the_digest_is_of_the_weights_and_not_of_the_file(serve, network, tmp_path):
    network.save(tmp_path / "a.keras")
    network.save(tmp_path / "b.h5")
    changed = keras.models.clone_model(network)
    changed.set_weights(network.get_weights())
    changed.layers[-1].bias.assign([0, 0, 0, 1e-6])
    changed.save(tmp_path / "c.keras")
    registry = serve(
        '[models.a]\nfile = "a.keras"\n[models.b]\nfile = "b.h5"\n[models.c]\nfile = "c.keras"'
    )
    a, b, c = (card.parts.weights for card in registry.cards())
    assert a == b != c
    assert len(a) == len("sha256:") + 64


def test_the_digest_of_a_saved_model_is_of_its_variables(serve, tmp_path):
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        dense((8, 8, 3)).export(tmp_path / f"seed{seed}", verbose=False)
    registry = serve(
        '[models.a]\nsaved_model = "seed0"\n[models.b]\nsaved_model = "seed0"\n'
        '[models.c]\nsaved_model = "seed1"'
    )
    a, b, c = (card.parts.weights for card in registry.cards())
    assert a == b != c


# --- Downloads ---------------------------------------------------------------------------------


def test_downloads_are_kept_in_the_folder_of_the_settings(tmp_path):
    (tmp_path / "origin.txt").write_text("weights")
    with keras_downloads("weights", tmp_path / "new" / "cache"):
        kept = keras.utils.get_file("kept.txt", origin=(tmp_path / "origin.txt").as_uri())
    assert Path(kept).is_relative_to(tmp_path / "new" / "cache")


def test_downloads_of_two_threads_take_turns_and_are_both_kept_there(tmp_path):
    (tmp_path / "origin.txt").write_text("weights")
    before = socket.getdefaulttimeout()
    entered = threading.Event()

    def second():
        entered.set()
        with keras_downloads("labels", tmp_path / "cache"):
            return keras.utils.get_file("second.txt", origin=(tmp_path / "origin.txt").as_uri())

    with ThreadPoolExecutor(1) as other:
        with keras_downloads("weights", tmp_path / "cache"):
            kept = other.submit(second)
            assert entered.wait(20)
            time.sleep(0.2)  # by now it waits for the lock
            assert not kept.done()
        assert Path(kept.result()).is_relative_to(tmp_path / "cache")
    assert socket.getdefaulttimeout() == before


# --- When it is loaded ----------------------------------------------------------------------------


def test_a_model_is_loaded_once_at_its_first_use_by_any_thread(tmp_path):
    dense((8, 8, 3)).save(tmp_path / "a.keras")
    (tmp_path / "models.toml").write_text('[models.a]\nfile = "a.keras"')
    registry = read_registry(tmp_path / "models.toml", weights_cache=None)
    with ThreadPoolExecutor(4) as askers:
        models = list(askers.map(lambda _: registry.get("a"), range(4)))
    assert len(set(map(id, models))) == 1
    registry.load("a")
    assert registry.get("a") is models[0]
