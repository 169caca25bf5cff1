"""The reason why a file is not served: the layer and the cause first, on one line, no config."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from tests.worker.models.tiny_models import dense
from worker.models.error_causes import summarize

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
LONGEST = 520  # characters


@pytest.fixture
def reason(serve):
    def of(file):
        (card,) = serve(f'[models.a]\nfile = "{file}"').cards()
        assert card.reason is not None
        assert len(card.reason) <= LONGEST
        assert "\n" not in card.reason
        assert not {"config={", "\x1b"} & set(card.reason.split())
        return card.reason

    return of


class Foreign(layers.Layer):
    def call(self, inputs):
        return inputs


def network(*stack, shape=(8, 8, 3)):
    return keras.Sequential(
        [keras.Input(shape), *stack, layers.Flatten(), layers.Dense(2, name="last")]
    )


def deep(*stack):
    """Put a layer deep into a model, so that long configs come before the cause."""
    convolutions = [layers.Conv2D(4, 3, padding="same", name=f"conv{n}") for n in range(12)]
    return network(*convolutions, *stack)


def rewrite(path, *, config=None, metadata=None, weights=None, without=()):
    """Replace members of a `.keras` archive; change config and metadata in place."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, change in (("config.json", config), ("metadata.json", metadata)):
        if change:
            content = json.loads(members[name])
            change(content)
            members[name] = json.dumps(content).encode()
    if weights:
        (file := path.with_suffix(".weights.h5")).write_bytes(members["model.weights.h5"])
        with h5py.File(file, "r+") as opened:
            weights(opened)
        members["model.weights.h5"] = file.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if name not in without:
                archive.writestr(name, content)


@pytest.mark.parametrize("file", ["a.keras", "a.h5"])
def test_a_layer_of_the_users_own_is_named(reason, tmp_path, file):
    deep(Foreign(name="mine")).save(tmp_path / file)
    assert reason(file).startswith("layer mine (Foreign): Keras ")
    assert "custom code is never run" in reason(file)


@pytest.mark.parametrize("file", ["a.keras", "a.h5"])
def test_a_function_of_the_users_own_is_named_with_its_layer(reason, tmp_path, file):
    def steep(x):
        return x * 3

    deep(layers.Activation(steep, name="mine")).save(tmp_path / file)
    assert reason(file).startswith("layer mine (Activation): ")
    assert "steep" in reason(file)


@pytest.mark.parametrize("file", ["a.keras", "a.h5"])
def test_a_lambda_is_named(reason, tmp_path, file):
    deep(layers.Lambda(lambda x: x * 2, output_shape=(8, 8, 4), name="double")).save(
        tmp_path / file
    )
    assert reason(file).startswith("layer double (Lambda): the file holds Python code")


@pytest.mark.parametrize("file", ["a.keras", "a.h5"])
def test_a_setting_keras_does_not_have_is_named_with_its_layer(reason, tmp_path, file):
    def change(config):
        [layer] = [each for each in config["config"]["layers"] if each["config"]["name"] == "conv7"]
        layer["config"]["wobble"] = 3

    deep().save(tmp_path / file)
    if file == "a.keras":
        rewrite(tmp_path / file, config=change)
    else:
        with h5py.File(tmp_path / file, "r+") as opened:
            change(config := json.loads(opened.attrs["model_config"]))
            opened.attrs["model_config"] = json.dumps(config)
    found = reason(file)
    assert found.startswith("layer conv7 (Conv2D): Unrecognized keyword arguments passed to Conv2D")
    assert "'wobble': 3" in found


def test_weights_of_another_shape_are_named_with_their_layer(reason, tmp_path):
    def reshape(file):
        del file["layers/dense/vars/1"]
        file["layers/dense/vars/1"] = np.zeros(5, np.float32)

    network().save(tmp_path / "a.keras")
    rewrite(tmp_path / "a.keras", weights=reshape)
    found = reason("a.keras")
    assert found.startswith("layer last (Dense): ")
    assert "(2,)" in found
    assert "(5,)" in found


def test_weights_of_another_shape_are_named_in_hdf5_too(reason, tmp_path):
    network(layers.Conv2D(4, 3, name="first")).save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        group = file["model_weights/first"]
        name = group.attrs["weight_names"][1]
        del group[name]
        group[name] = np.zeros(7, np.float32)
    found = reason("a.h5")
    assert found.startswith("layer first: Shape mismatch")
    assert "(4,)" in found
    assert "(7,)" in found


def test_missing_weights_are_named_with_their_layer(reason, tmp_path):
    def remove(file):
        del file["layers/dense/vars"]

    network().save(tmp_path / "a.keras")
    rewrite(tmp_path / "a.keras", weights=remove)
    assert reason("a.keras").startswith("layer last (Dense): ")
    assert "expected 2 variables, but received 0" in reason("a.keras")


def test_layers_without_weights_in_hdf5_are_counted(reason, tmp_path):
    network(layers.Conv2D(4, 3)).save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        group = file["model_weights"]
        names = [name for name in group.attrs["layer_names"] if name != "last"]
        group.attrs["layer_names"] = names
    assert reason("a.h5").startswith("Layer count mismatch when loading weights from file. Model")
    assert "expected 2 layers, found 1" in reason("a.h5")


def test_layers_that_do_not_fit_together_are_named(reason, tmp_path):
    def change(config):
        [layer] = [each for each in config["config"]["layers"] if each["config"]["name"] == "flat"]
        layer["class_name"], layer["config"] = "GlobalMaxPooling1D", {"name": "flat"}

    deep(layers.Flatten(name="flat")).save(tmp_path / "a.keras")
    rewrite(tmp_path / "a.keras", config=change)
    found = reason("a.keras")
    assert "expected ndim=3, found ndim=4" in found[:200]


@pytest.mark.parametrize("file", ["a.h5", "a.keras"])
def test_a_truncated_file_is_reported_as_such(reason, tmp_path, file):
    (path := tmp_path / file).parent.mkdir(exist_ok=True)
    deep().save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    assert "cut short" in reason(file)
    if file == "a.h5":
        size = path.stat().st_size
        assert reason(file) == f"a.h5: it is cut short: it has {size} of {size + 2000} bytes"


def test_another_file_than_hdf5_is_reported_as_such(reason, tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no model" * 100)
    assert reason("a.h5") == "a.h5: it is not an HDF5 file"


@pytest.mark.parametrize("member", ["config.json", "metadata.json", "model.weights.h5"])
def test_a_foreign_archive_is_reported_as_such(reason, tmp_path, member):
    network().save(tmp_path / "a.keras")
    rewrite(tmp_path / "a.keras", without=[member])
    assert reason("a.keras") == f"a.keras was not saved by Keras: it has no {member}"


def test_a_config_that_is_not_json_is_reported_as_such(reason, tmp_path):
    network().save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["model_config"] = "{'layers': ["
    assert reason("a.h5").startswith("model_config is not JSON: ")


def test_a_file_with_weights_only_is_reported_as_such(reason, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
    assert reason("a.h5") == "a.h5 has weights only; save the whole model with model.save"


def test_a_failure_with_a_newer_version_of_keras_says_so(reason, tmp_path):
    def newer(metadata):
        metadata["keras_version"] = "4.2.0"

    def change(config):
        config["config"]["layers"][1]["class_name"] = "Flatten5D"

    network().save(tmp_path / "a.keras")
    rewrite(tmp_path / "a.keras", config=change, metadata=newer)
    assert "Flatten5D" in reason("a.keras")[:100]
    assert reason("a.keras").endswith(
        f"(saved by Keras 4.2.0, newer than this worker's {keras.__version__})"
    )


def test_several_inputs_or_outputs_are_counted(reason, tmp_path):
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    one, two = layers.Dense(2)(layers.Flatten()(a)), layers.Dense(2)(layers.Flatten()(b))
    keras.Model([a, b], layers.Add()([one, two])).save(tmp_path / "in.keras")
    keras.Model(a, [one, layers.Softmax()(one)]).save(tmp_path / "out.keras")
    assert reason("in.keras") == "it has 2 inputs and 1 outputs; one of each is needed"
    assert reason("out.keras") == "it has 1 inputs and 2 outputs; one of each is needed"


def test_inputs_that_are_not_pictures_are_reported_with_their_shape(reason, tmp_path):
    keras.Sequential([keras.Input((8,)), layers.Dense(2)]).save(tmp_path / "a.keras")
    assert reason("a.keras") == "it takes inputs of shape (None, 8); (N, H, W, C) is needed"


def test_a_named_output_is_used_if_it_is_the_only_one(serve, tmp_path):
    picture = keras.Input((8, 8, 3))
    keras.Model(picture, {"scores": layers.Dense(2)(layers.Flatten()(picture))}).save(
        tmp_path / "a.keras"
    )
    assert serve('[models.a]\nfile = "a.keras"').get("a").predictor.n_outputs == 2


def test_an_error_of_python_keeps_its_kind():
    assert summarize(AttributeError("'str' object has no attribute 'name'")) == (
        "AttributeError: 'str' object has no attribute 'name'"
    )
    assert summarize(MemoryError()) == "MemoryError"


def test_a_good_model_has_no_error(serve, tmp_path):
    dense((8, 8, 3)).save(tmp_path / "a.keras")
    [card] = serve('[models.a]\nfile = "a.keras"').cards()
    assert card.reason is None
