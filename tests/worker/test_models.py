"""Real tiny models, loaded through a file of models: what is served, what is refused, and why."""

import json
import socket
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from structlog.testing import capture_logs

from service.contract.schema import ModelStatus
from worker.applications import keras_downloads
from worker.models import ModelUnavailable, read_registry
from worker.preprocessing import NAMED

# Keras's variables know NumPy's __array__ of before version 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 256, (3, 8, 8, 3)).astype(np.float32)  # (N, H, W, C)


@pytest.fixture(scope="module")
def network():
    """Four probabilities, with a layer of augmentation, which must not act."""
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


@pytest.fixture
def serve(tmp_path):
    """Write a file of models, read it and load all."""

    def write_and_load(text):
        path = tmp_path / "models.toml"
        path.write_text(text)
        registry = read_registry(path, weights_cache=tmp_path / "cache")
        registry.load_all()
        return registry

    return write_and_load


@pytest.fixture
def reason(serve):
    """Why the only model of a file is not served."""

    def of(text):
        (card,) = serve(f"[models.a]\n{text}").cards()
        assert card.status is ModelStatus.UNAVAILABLE
        assert "\n" not in card.reason
        return card.reason

    return of


# --- What is served -----------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["a.keras", "a.h5"])
def test_a_keras_file_gives_the_scores_of_its_network_in_inference(serve, network, tmp_path, file):
    network.save(tmp_path / file)
    model = serve(
        f'[models.a]\nfile = "{file}"\npreprocessing = "unit"\nlabels = ["k", "l", "m", "n"]\n'
    ).get("a")
    expected = np.asarray(network(PHOTOS / 255, training=False))
    for _ in range(3):  # a layer of augmentation that acts would flip some
        np.testing.assert_allclose(model.predictor(PHOTOS), expected, rtol=1e-5)
    assert model.labels == ["k", "l", "m", "n"]
    assert model.card.labels == model.labels
    assert model.card.status is ModelStatus.AVAILABLE
    assert (model.card.input_shape, model.card.output_count) == ((8, 8, 3), 4)
    assert (model.card.backend, model.card.dtype) == ("tensorflow", "float32")
    assert model.card.preprocessing == "unit: (x - 0) / 255"


def test_a_saved_model_gives_the_scores_of_the_network_it_was_exported_from(serve, tmp_path):
    exported = dense((8, 8, 3))
    exported.export(tmp_path / "exported", verbose=False)
    model = serve('[models.a]\nsaved_model = "exported"\npreprocessing = "tf"').get("a")
    expected = np.asarray(exported(PHOTOS / 127.5 - 1))
    np.testing.assert_allclose(model.predictor(PHOTOS), expected, rtol=1e-5)
    assert model.labels == ["0", "1"]
    assert model.card.digest.startswith("sha256:")


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


def test_a_model_of_open_size_takes_the_size_of_the_file(serve, reason, tmp_path):
    open_size = keras.Sequential(
        [keras.Input((None, None, 1)), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )
    open_size.save(tmp_path / "a.keras")
    model = serve('[models.a]\nfile = "a.keras"\ninput_shape = [6, 9, 1]').get("a")
    assert model.predictor.input_shape == (6, 9, 1)
    assert reason('file = "a.keras"') == (
        "it takes inputs of shape (None, None, None, 1): input_shape is needed"
    )


# --- Preprocessing ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_a_named_preprocessing_is_that_of_keras(mode):
    before = PHOTOS.copy()
    oracle = keras.applications.imagenet_utils.preprocess_input(PHOTOS.copy(), mode=mode)
    np.testing.assert_allclose(NAMED[mode](PHOTOS), oracle, atol=1e-5)
    np.testing.assert_allclose(NAMED[mode](tf.constant(PHOTOS)), oracle, atol=1e-5)
    np.testing.assert_array_equal(PHOTOS, before)


def test_a_preprocessing_of_three_channels_is_refused_for_grey(reason, tmp_path):
    dense((8, 8, 1)).save(tmp_path / "a.keras")
    assert reason('file = "a.keras"\npreprocessing = "torch"').endswith(
        "needs 3 channels; the model has 1"
    )


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
    a, b, c = (card.digest for card in registry.cards())
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
    a, b, c = (card.digest for card in registry.cards())
    assert a == b != c


# --- What is refused ----------------------------------------------------------------------------


def test_a_model_that_fails_is_logged_in_one_line_and_the_others_are_served(
    serve, network, tmp_path
):
    network.save(tmp_path / "good.keras")
    (tmp_path / "broken.keras").write_bytes(b"not a zip file")
    (tmp_path / "broken.h5").write_bytes(b"not HDF5")
    with capture_logs() as logs:
        registry = serve(
            '[models.absent]\nfile = "absent.keras"\n[models.zip]\nfile = "broken.keras"\n'
            '[models.hdf5]\nfile = "broken.h5"\n[models.good]\nfile = "good.keras"\n'
        )
    assert [card.status for card in registry.cards()] == ["unavailable"] * 3 + ["available"]
    assert [entry["model"] for entry in logs] == ["absent", "zip", "hdf5"]
    assert all("\n" not in entry["reason"] for entry in logs)
    with pytest.raises(ModelUnavailable, match=r"model absent: .*absent\.keras is no file"):
        registry.get("absent")
    assert registry.get("good").predictor.n_outputs == 4


@pytest.mark.parametrize("kind", ["a.keras", "a.h5", "keras 2.h5"])
def test_a_lambda_layer_is_refused_before_its_code_runs(reason, tmp_path, kind):
    marker, path = tmp_path / "the code ran", tmp_path / kind
    forge_lambda(path, marker, old="keras 2" in kind)
    assert "holds Python code, such as a Lambda layer" in reason(f'file = "{kind}"')
    assert not marker.exists()
    keras.saving.load_model(path, compile=False, safe_mode=False)  # the forgery would have worked
    assert marker.exists()


def test_a_layer_keras_does_not_know_is_refused(reason, tmp_path):
    class Foreign(layers.Layer):
        def call(self, inputs):
            return inputs

    keras.Sequential([keras.Input((4, 4, 3)), Foreign()]).save(tmp_path / "a.h5")
    assert "Foreign" in reason('file = "a.h5"')


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ("", "it takes 4 channels; 1 (grey) or 3 (RGB), last, are served"),
        ("input_shape = [9, 8, 3]", "of shape (None, 8, 8, 4), but input_shape is (9, 8, 3)"),
    ],
)
def test_a_model_whose_input_is_no_picture_is_refused(reason, tmp_path, keys, complaint):
    dense((8, 8, 4)).save(tmp_path / "a.keras")
    assert complaint in reason(f'file = "a.keras"\n{keys}')


def test_scores_that_are_not_finite_are_refused(reason, tmp_path):
    model = dense((8, 8, 3))
    model.layers[-1].bias.assign([0, np.nan])
    model.save(tmp_path / "a.keras")
    assert reason('file = "a.keras"') == "1 of its 2 scores are NaN or infinite"


def test_scores_that_are_not_always_the_same_are_refused(reason, network, tmp_path):
    network.export(tmp_path / "exported", verbose=False)  # Keras leaves augmentation on
    assert "layers that act at random" in reason('saved_model = "exported"')


def test_scores_of_no_classes_are_refused(reason, tmp_path):
    keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(1, 3)]).save(tmp_path / "a.keras")
    assert "one array of shape (N, K) or (N,) is needed" in reason('file = "a.keras"')


def test_a_wrong_number_of_labels_is_refused_with_both_numbers(reason, network, tmp_path):
    network.save(tmp_path / "a.keras")
    assert reason('file = "a.keras"\nlabels = ["k", "l"]') == "2 labels for a model of 4 outputs"
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    assert reason('file = "a.keras"\nlabels = "labels.txt"') == "5 labels for a model of 4 outputs"


def test_a_saved_model_must_map_batches_of_pictures_to_one_array(reason, tmp_path):
    batches = tf.TensorSpec((None, 8, 8, 3), tf.float32)
    export(tmp_path / "two", batches, {"a": channel_means, "b": channel_means})
    assert "one input and one output are needed" in reason('saved_model = "two"')
    export(tmp_path / "single", tf.TensorSpec((1, 8, 8, 3), tf.float32), {"a": channel_means})
    assert "a free batch size is needed" in reason('saved_model = "single"')
    assert "has no file saved_model.pb" in reason('saved_model = "."')


def test_without_a_network_only_applications_are_unavailable(serve, network, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    network.save(tmp_path / "a.keras")
    registry = serve(
        '[models.mobilenet]\napplication = "MobileNet"\n[models.a]\nfile = "a.keras"\n'
        '[models.labelled]\nfile = "a.keras"\nlabels = "imagenet"\n'
    )
    reasons = {card.name: card.reason for card in registry.cards()}
    assert reasons == {
        "mobilenet": "weights of MobileNet could not be fetched: [Errno -2] no such host",
        "a": None,
        "labelled": "ImageNet labels could not be fetched: [Errno -2] no such host",
    }


def test_an_application_keras_does_not_have_is_answered_with_those_it_has(reason):
    answer = reason('application = "ResNet51"')
    assert answer.startswith("keras.applications has no ResNet51; it has ConvNeXtBase, ")
    assert "ResNet50" in answer
    assert "preprocess_input" not in answer


def test_downloads_are_kept_in_the_folder_of_the_settings(tmp_path):
    (tmp_path / "origin.txt").write_text("weights")
    with keras_downloads("weights", tmp_path / "new" / "cache"):
        kept = keras.utils.get_file("kept.txt", origin=(tmp_path / "origin.txt").as_uri())
    assert Path(kept).is_relative_to(tmp_path / "new" / "cache")


# --- Forging ------------------------------------------------------------------------------------


def dense(shape):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(2)])


def channel_means(pictures):
    return tf.reduce_mean(tf.cast(pictures, tf.float32), axis=(1, 2))  # (N, C)


def export(folder, spec, outputs):
    module = tf.Module()
    module.scores = tf.function(
        lambda x: {name: output(x) for name, output in outputs.items()}, input_signature=[spec]
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.scores})


def forge_lambda(path, marker, *, old):
    """A model whose Lambda layer leaves a file behind when it runs; old: as Keras 2 wrote it."""
    code = eval(f"lambda x: (__import__('pathlib').Path({str(marker)!r}).touch(), x)[1]")  # noqa: S307
    forged = keras.Sequential([keras.Input((8, 8, 3)), layers.Lambda(code), layers.Flatten()])
    forged.save(path)
    if old:
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            (layer,) = (e for e in config["config"]["layers"] if e["class_name"] == "Lambda")
            code = layer["config"]["function"]["config"]
            layer["config"]["function"] = [code["code"], code["defaults"], code["closure"]]
            layer["config"]["function_type"] = "lambda"
            file.attrs["model_config"] = json.dumps(config)
    marker.unlink(missing_ok=True)


def no_network(*_args, **_kwargs):
    raise socket.gaierror(-2, "no such host")
