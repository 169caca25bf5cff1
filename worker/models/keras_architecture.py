"""Digests a Keras model's architecture: everything it computes except its weights.

Names have no effect on the digest. Keras numbers the layers it creates, so two files of one model
name them differently; the digest refers to a layer by its index within its model.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from service.schemas.fingerprint import digest_of_json

# Keys without effect on inference: training, building, seeds
IGNORED = {
    *("name", "trainable", "seed", "build_config", "build_input_shape", "compile_config"),
    *("kernel_initializer", "bias_initializer", "depthwise_initializer", "pointwise_initializer"),
    *("beta_initializer", "gamma_initializer"),
    *("moving_mean_initializer", "moving_variance_initializer"),
    *("kernel_regularizer", "bias_regularizer", "activity_regularizer"),
    *("kernel_constraint", "bias_constraint"),
}
POLICY = "DTypePolicy"  # suffix of the dtype policies' classes; their name is kept
PLACES = ("input_layers", "output_layers", "keras_history")  # keys whose values name layers


def keras_architecture(model: Any) -> str:
    """Digest a model that Keras has loaded from any kind of file."""
    import keras

    with _tensorflow_left_alone():
        config = keras.saving.serialize_keras_object(model)
    return digest_of_json(_canonical(config, {}))


@contextmanager
def _tensorflow_left_alone() -> Iterator[None]:
    """Keep Keras on JAX from importing all of TensorFlow, which it does to compare types."""
    from keras.src.utils.module_utils import tensorflow

    before = tensorflow._available
    if "tensorflow" not in sys.modules:
        tensorflow._available = False
    try:
        yield
    finally:
        tensorflow._available = before


def _canonical(value: Any, places: Mapping[str, int]) -> Any:
    """Drop parts of a config that do not compute; places: indices of the model's layers by name."""
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
    """Replace names of layers by their indices, at any depth of nested lists."""
    if isinstance(value, list | tuple):
        return [_placed(each, places) for each in value]
    return places[value] if isinstance(value, str) else value
