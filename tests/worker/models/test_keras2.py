"""Files of Keras 2 give the scores of tf_keras, the maintained Keras 2; see keras2_models.py."""

import json
import shutil
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from tests.worker.models.tiny_models import dense

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
NAMES = (
    *("depthwise", "separable", "transposed", "grouped", "batch_norm_axes", "batch_norm_sync"),
    *("norms", "softmax_axes", "normalization", "relu", "activations", "thresholded"),
    *("hard_sigmoid", "functions", "augmented", "random_size", "noise", "resized", "recurrent"),
    *(
        "functional",
        "nested",
        "shared",
        "unnamed_input",
        "built_late",
        "half_precision",
        "attention",
    ),
    *("arithmetic", "slices", "whole_numbers", "transfer", "mobilenet_v2", "efficientnet_b0"),
)
REFUSED = {
    ("slices", "keras"): "tf_keras cannot write it",
    ("shared", "keras"): "it has the weights once, and Keras 3 cannot share the layer either",
}
TOLERANCE = {"half_precision": 2e-3}  # of the largest score, for float16; else that of float32


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras2")
    command = [sys.executable, "-m", "tests.worker.models.keras2_models", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_keras_2_gives_its_scores(serve, written, tmp_path, name, suffix):
    if (name, suffix) in REFUSED:
        pytest.skip(REFUSED[name, suffix])
    shutil.copy(written / f"{name}.{suffix}", tmp_path)
    model = serve(f'[models.a]\nfile = "{name}.{suffix}"').get("a")
    found = np.load(written / f"{name}.npz")
    expected = found["scores"]
    tolerance = TOLERANCE.get(name, 1e-5) * np.abs(expected).max()
    assert np.ptp(expected) > 100 * tolerance  # the scores differ enough to compare
    np.testing.assert_allclose(model.predictor(found["pictures"]), expected, atol=tolerance)


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_model_is_refused_if_keras_would_leave_random_weights(serve, written, tmp_path):
    """An archive has the weights of a shared layer once, and Keras 3 only warns."""
    shutil.copy(written / "shared.keras", tmp_path)
    [card] = serve('[models.a]\nfile = "shared.keras"').cards()
    assert card.reason.startswith("the file has no weights for some layers: ")


def test_every_reference_model_is_tested(written):
    assert {path.stem for path in written.glob("*.h5")} == set(NAMES)


def test_several_axes_in_a_keras_3_file_are_kept(serve, tmp_path):
    """Keras silently drops them from .h5 files, which changes the scores of a softmax."""
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Softmax(axis=[1, 2]), layers.Flatten(), layers.Dense(2)]
    )
    network.save(tmp_path / "a.h5")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    scores = serve('[models.a]\nfile = "a.h5"').get("a").predictor(pictures)
    np.testing.assert_allclose(scores, np.asarray(network(pictures)), rtol=1e-5)


@pytest.mark.parametrize("file", ["a.h5", "a.keras"])
def test_arithmetic_in_a_model_of_keras_3_is_read(serve, tmp_path, file):
    """Keras writes it into .h5 files and cannot read it back; Subtract is a layer, too."""
    picture = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(picture[..., ::-1] / 255.0 - 0.5)
    x = layers.Subtract()([x, keras.ops.relu(x)])
    network = keras.Model(picture, layers.Dense(2)(keras.ops.mean(x, axis=[1, 2])))
    network.save(tmp_path / file)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    scores = serve(f'[models.a]\nfile = "{file}"').get("a").predictor(pictures)
    np.testing.assert_allclose(scores, np.asarray(network(pictures)), rtol=1e-4, atol=1e-6)


# --- Configs as older versions wrote them, which tf_keras no longer writes ------------------------


def edit(path, change):
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(change(config))
        file.attrs["keras_version"] = "2.2.4"


def as_a_list(config):
    """Before Keras 2.2.3 the config of a Sequential was the list of its layers."""
    first, *others = config["config"]["layers"]
    others[0]["config"]["batch_input_shape"] = first["config"]["batch_shape"]
    return {"class_name": "Sequential", "config": others}


def with_arrays(config):
    """Write NumPy numbers as Keras 2.2 did: as arrays with their type."""
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "ReLU":
            layer["config"]["negative_slope"] = {"type": "ndarray", "value": 0.25}
    return config


@pytest.mark.parametrize("change", [as_a_list, with_arrays])
def test_configs_of_older_versions_are_read(serve, tmp_path, change):
    slope = 0.25 if change is with_arrays else 0.0
    stack = [layers.Flatten(), layers.Dense(4), layers.ReLU(negative_slope=slope), layers.Dense(2)]
    network = keras.Sequential([keras.Input((8, 8, 3)), *stack])
    network.save(tmp_path / "a.h5")
    edit(tmp_path / "a.h5", change)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    scores = serve('[models.a]\nfile = "a.h5"').get("a").predictor(pictures)
    np.testing.assert_allclose(scores, np.asarray(network(pictures)), rtol=1e-5)


def test_a_functional_model_was_once_called_model(serve, tmp_path):
    picture = keras.Input((8, 8, 3))
    network = keras.Model(picture, layers.Dense(2)(layers.Flatten()(picture)))
    network.save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace("Functional", "Model")
    pictures = np.ones((1, 8, 8, 3), np.float32)
    scores = serve('[models.a]\nfile = "a.h5"').get("a").predictor(pictures)
    np.testing.assert_allclose(scores, np.asarray(network(pictures)), rtol=1e-5)


def test_a_setting_keras_3_does_not_have_is_named_with_its_layer(serve, written, tmp_path):
    shutil.copy(written / "depthwise.h5", tmp_path)

    def grouped(config):
        config["config"]["layers"][1]["config"]["groups"] = 3
        return config

    edit(tmp_path / "depthwise.h5", grouped)
    [card] = serve('[models.a]\nfile = "depthwise.h5"').cards()
    assert card.reason == (
        "layer depthwise_conv2d (DepthwiseConv2D): groups is 3, which Keras 3 does not support; "
        "only 1 is accepted"
    )


@pytest.mark.parametrize("name", ["tf.numpy_function", "tf.io.read_file"])
def test_an_operation_that_is_not_listed_is_refused_by_name(serve, written, tmp_path, name):
    shutil.copy(written / "arithmetic.h5", tmp_path)

    def forged(config):
        [layer] = [each for each in config["config"]["layers"] if "relu6" in each["name"]]
        layer["config"]["function"] = name.removeprefix("tf.")
        return config

    edit(tmp_path / "arithmetic.h5", forged)
    [card] = serve('[models.a]\nfile = "arithmetic.h5"').cards()
    assert card.reason.startswith(
        f"layer tf.nn.relu6 (TFOpLambda): operation {name} is not supported"
    )


def test_layers_with_one_input_are_not_translated(serve, tmp_path):
    """Of a Keras 3 file only the class names are translated."""
    network = dense((8, 8, 3))
    network.save(tmp_path / "a.h5")
    network.save(tmp_path / "a.keras")
    registry = serve('[models.h5]\nfile = "a.h5"\n[models.keras]\nfile = "a.keras"')
    pictures = np.ones((1, 8, 8, 3), np.float32)
    h5, archive = (registry.get(name).predictor(pictures) for name in ("h5", "keras"))
    np.testing.assert_array_equal(h5, archive)
