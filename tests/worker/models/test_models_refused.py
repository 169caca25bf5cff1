"""Files that are not served, forged ones included, and the reasons given."""

import json
import socket

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from structlog.testing import capture_logs

from service.schemas.models import ModelStatus
from tests.worker.models.tiny_models import channel_means, dense, export
from worker.models.errors import ModelUnavailableError

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.fixture
def reason(serve):
    """Returns why a file's only model is not served."""

    def of(text):
        (card,) = serve(f"[models.a]\n{text}").cards()
        assert card.status is ModelStatus.UNAVAILABLE
        assert "\n" not in card.reason
        return card.reason

    return of


def test_a_model_that_fails_is_logged_in_one_line_and_the_others_are_served(serve, tmp_path):
    dense((8, 8, 3)).save(tmp_path / "good.keras")
    (tmp_path / "broken.keras").write_bytes(b"not a zip file")
    (tmp_path / "broken.h5").write_bytes(b"not HDF5")
    with capture_logs() as logs:
        registry = serve(
            '[models.absent]\nfile = "absent.keras"\n[models.zip]\nfile = "broken.keras"\n'
            '[models.hdf5]\nfile = "broken.h5"\n[models.good]\nfile = "good.keras"\n'
        )
    assert [card.status for card in registry.cards()] == ["unavailable"] * 3 + ["available"]
    failures = [entry for entry in logs if entry["log_level"] != "info"]
    assert [entry["model"] for entry in failures] == ["absent", "zip", "hdf5"]
    assert all("\n" not in entry["reason"] for entry in failures)
    with pytest.raises(ModelUnavailableError, match=r"model absent: absent\.keras is not a file"):
        registry.get("absent")
    assert registry.get("good").predictor.n_outputs == 2


def test_a_truncated_file_is_reported_as_such(reason, tmp_path):
    dense((8, 8, 3)).save(path := tmp_path / "a.keras")
    path.write_bytes(path.read_bytes()[:-100])
    assert reason('file = "a.keras"').startswith("a.keras is cut short")


@pytest.mark.parametrize(
    "keys",
    [
        'file = "a.keras"',
        'file = "a.h5"',
        'saved_model = "exported"',
        'file = "good.keras"\nlabels = "absent.txt"',
    ],
)
def test_paths_of_the_server_are_not_revealed(reason, tmp_path, keys):
    dense((8, 8, 3)).save(tmp_path / "good.keras")
    (tmp_path / "a.h5").write_bytes(b"not HDF5")
    assert str(tmp_path) not in reason(keys)


@pytest.mark.parametrize("kind", ["a.keras", "a.h5", "keras 2.h5"])
def test_a_lambda_layer_is_refused_before_its_code_runs(reason, tmp_path, kind):
    marker, path = tmp_path / "the code ran", tmp_path / kind
    forge_lambda(path, marker, old="keras 2" in kind)
    assert "holds Python code, such as a Lambda layer" in reason(f'file = "{kind}"')
    assert not marker.exists()
    keras.saving.load_model(path, compile=False, safe_mode=False)  # the forgery is effective
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
        ("", "it takes 4 channels; 1 (grey) or 3 (RGB), in the last axis, are accepted"),
        ("input_shape = [9, 8, 3]", "of shape (None, 8, 8, 4), but input_shape is (9, 8, 3)"),
    ],
)
def test_a_model_with_another_input_than_pictures_is_refused(reason, tmp_path, keys, complaint):
    dense((8, 8, 4)).save(tmp_path / "a.keras")
    assert complaint in reason(f'file = "a.keras"\n{keys}')


def test_a_model_of_open_size_needs_input_shape(reason, tmp_path):
    open_size = [keras.Input((None, None, 1)), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    keras.Sequential(open_size).save(tmp_path / "a.keras")
    assert reason('file = "a.keras"') == (
        "it takes inputs of shape (None, None, None, 1): input_shape is needed"
    )


def test_a_preprocessing_of_three_channels_is_refused_for_grey(reason, tmp_path):
    dense((8, 8, 1)).save(tmp_path / "a.keras")
    assert reason('file = "a.keras"\npreprocessing = "torch"').endswith(
        "needs 3 channels; the model has 1"
    )


def test_scores_that_are_not_finite_are_refused(reason, tmp_path):
    model = dense((8, 8, 3))
    model.layers[-1].bias.assign([0, np.nan])
    model.save(tmp_path / "a.keras")
    assert (
        reason('file = "a.keras"')
        == "1 of 2 scores are NaN or infinite for the trial picture: noise"
    )


def test_scores_that_are_not_always_the_same_are_refused(reason, tmp_path):
    flips = [keras.Input((8, 8, 3)), layers.RandomFlip(), layers.Flatten(), layers.Dense(2)]
    keras.Sequential(flips).export(tmp_path / "exported", verbose=False)  # Keras exports it active
    assert "Layers that act at random" in reason('saved_model = "exported"')


def test_empty_scores_are_refused(reason, tmp_path):
    keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(1, 3)]).save(tmp_path / "a.keras")
    assert "one array of shape (N, K) or (N,) is needed" in reason('file = "a.keras"')


def test_a_wrong_number_of_labels_is_refused_with_both_numbers(reason, tmp_path):
    dense((8, 8, 3)).save(tmp_path / "a.keras")
    assert (
        reason('file = "a.keras"\nlabels = ["k"]') == "received 1 labels for a model with 2 outputs"
    )
    assert reason('file = "a.keras"\nlabels = []') == "received 0 labels for a model with 2 outputs"
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    five = reason('file = "a.keras"\nlabels = "labels.txt"')
    assert five == "received 5 labels for a model with 2 outputs"


def test_a_saved_model_must_map_batches_of_pictures_to_one_array(reason, tmp_path):
    batches = tf.TensorSpec((None, 8, 8, 3), tf.float32)
    export(tmp_path / "two", batches, {"a": channel_means, "b": channel_means})
    assert "one input and one output are needed" in reason('saved_model = "two"')
    export(tmp_path / "single", tf.TensorSpec((1, 8, 8, 3), tf.float32), {"a": channel_means})
    assert "a free batch size is needed" in reason('saved_model = "single"')
    assert "has no file saved_model.pb" in reason('saved_model = "."')


def test_without_a_network_only_applications_are_unavailable(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    dense((8, 8, 3)).save(tmp_path / "a.keras")
    registry = serve(
        '[models.mobilenet]\napplication = "MobileNet"\n[models.a]\nfile = "a.keras"\n'
    )
    reasons = {card.name: card.reason for card in registry.cards()}
    assert reasons == {
        "mobilenet": "weights of MobileNet could not be downloaded: [Errno -2] no such host",
        "a": None,
    }


def test_an_unknown_application_is_refused_with_the_known_ones(reason):
    answer = reason('application = "ResNet51"')
    assert answer.startswith("keras.applications has no ResNet51; it has ConvNeXtBase, ")
    assert "ResNet50" in answer
    assert "preprocess_input" not in answer


# --- Making models ------------------------------------------------------------------------------


def forge_lambda(path, marker, *, old):
    """Make a model whose Lambda layer creates a file when it runs; old: as Keras 2 wrote it."""
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
