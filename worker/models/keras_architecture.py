"""What a Keras model computes, apart from its weights, as a digest that names do not change.

Keras numbers the layers it makes, and two files of one model give them other names; so layers are
called by their place among those of their model.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from service.schemas.fingerprint import digest_of_json

# Without a part in scores of inference: how it was trained and built, and what randomness starts at
IGNORED = {
    *("name", "trainable", "seed", "build_config", "build_input_shape", "compile_config"),
    *("kernel_initializer", "bias_initializer", "depthwise_initializer", "pointwise_initializer"),
    *("beta_initializer", "gamma_initializer"),
    *("moving_mean_initializer", "moving_variance_initializer"),
    *("kernel_regularizer", "bias_regularizer", "activity_regularizer"),
    *("kernel_constraint", "bias_constraint"),
}
POLICY = "DTypePolicy"  # ends the class names of what layers compute in; there the name says it
PLACES = ("input_layers", "output_layers", "keras_history")  # where layers are called by name


def keras_architecture(model: Any) -> str:
    """The digest of a model that Keras has loaded, from whichever kind of file."""
    import keras

    with _tensorflow_left_alone():
        config = keras.saving.serialize_keras_object(model)
    return digest_of_json(_canonical(config, {}))


@contextmanager
def _tensorflow_left_alone() -> Iterator[None]:
    """Keras on JAX imports all of TensorFlow, where it is installed, to compare types with it."""
    from keras.src.utils.module_utils import tensorflow

    before = tensorflow._available
    if "tensorflow" not in sys.modules:
        tensorflow._available = False
    try:
        yield
    finally:
        tensorflow._available = before


def _canonical(value: Any, places: Mapping[str, int]) -> Any:
    """The value without what does not compute; places: of the layers of this model, by name."""
    if isinstance(value, list | tuple):
        return [_canonical(each, places) for each in value]
    if not isinstance(value, Mapping):
        return value
    if str(value.get("class_name", "")).endswith(POLICY):
        return value["config"]
    layers = value.get("layers")
    if isinstance(layers, list):
        places = {layer["config"]["name"]: place for place, layer in enumerate(layers)}
    return {
        key: _placed(each, places) if key in PLACES else _canonical(each, places)
        for key, each in value.items()
        if key not in IGNORED
    }


def _placed(value: Any, places: Mapping[str, int]) -> Any:
    """Names of layers as their places, however deep in lists."""
    if isinstance(value, list | tuple):
        return [_placed(each, places) for each in value]
    return places[value] if isinstance(value, str) else value
