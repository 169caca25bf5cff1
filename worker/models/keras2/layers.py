"""What Keras 3 wants otherwise of a layer that Keras 2 wrote: a table, class by class.

Initializers, regularizers and constraints of all layers are left out: only training needs them, the
weights come from the file, and some of them would need code of their own. Whatever else a class of
Keras 3 does not take must be known here to change no score; Keras itself refuses the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worker.models.errors import ModelUnavailableError

Config = dict[str, Any]

OF_TRAINING = ("_initializer", "_regularizer", "_constraint")  # ends of keys
PACKAGE = "shapshot"  # as which Keras knows classes of ours
TENSOR = "tensor"  # key of the number of a tensor among the arguments of an operation
ANY = object()  # value of a key that changes no score, whatever it is


@dataclass(frozen=True)
class Rule:
    """From a config of Keras 2 to one of Keras 3.

    becomes: the class of Keras 3, where it has another name; module: where it is, if not where
    layers are. renamed: old keys
    by new ones. left_out: keys that Keras 3 does not take, with the only value that may be left
    out. rewrite: what is left to do.
    """

    becomes: str | None = None
    module: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, object] = field(default_factory=dict)
    rewrite: Callable[[Config], Config] = lambda config: config


def translate_settings(class_name: str, config: Config) -> tuple[Rule, Config]:
    """The rule of a class, and the config of a layer of it by that.

    Raises ModelUnavailableError.
    """
    rule = RULES.get(class_name, Rule())
    found: Config = {}
    for key, value in config.items():
        if key.endswith(OF_TRAINING):
            continue
        if key == "batch_input_shape" and key not in rule.renamed:
            continue
        if key in rule.left_out:
            if rule.left_out[key] not in (ANY, value):
                raise ModelUnavailableError(
                    f"layer {config.get('name')} ({class_name}): {key} is {value}, which Keras 3 "
                    f"cannot do; {rule.left_out[key]} is accepted"
                )
            continue
        found[rule.renamed.get(key, key)] = value
    for key in ("activation", "recurrent_activation"):
        if key in found:
            found[key] = _activation(found[key])
    if "dtype" in found:
        found["dtype"] = _policy(found["dtype"])
    return rule, rule.rewrite(found)


def _activation(value: Any) -> Any:
    """A function of one name that computes something else is replaced by that of Keras 2."""
    name = value["config"] if isinstance(value, dict) and "config" in value else value
    if name != "hard_sigmoid":
        return value
    from worker.models.keras2.stand_ins import HARD_SIGMOID

    return {
        "module": "builtins",
        "class_name": "function",
        "config": HARD_SIGMOID,
        "registered_name": HARD_SIGMOID,
    }


def _policy(value: Any) -> Any:
    """A dtype policy by its name: `{"class_name": "Policy", "config": {"name": …}}`."""
    return value["config"]["name"] if isinstance(value, dict) else value


def _identity(config: Config) -> Config:
    return {"name": config.get("name"), "activation": "linear"}


def _resized(config: Config) -> Config:
    """A RandomCrop of Keras 2 in inference: resizes, and cuts off what the aspect ratio has not."""
    return {**config, "crop_to_aspect_ratio": True}


def _axis(config: Config) -> Config:
    """Keras 2 writes one axis as a list, and none as an empty one."""
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) < 2:
        return {**config, "axis": axis[0] if axis else None}
    return config


def _normalization(config: Config) -> Config:
    """Where mean and variance are given, Keras 3 wants both of one shape."""
    found = _axis(config)
    if found.get("mean") is None:
        return found
    both = np.broadcast_arrays(found["mean"], found["variance"])
    mean, variance = (each.tolist() for each in both)
    return {**found, "mean": mean, "variance": variance}


def _one_axis(config: Config) -> Config:
    found = _axis(config)
    if isinstance(found.get("axis"), list):
        raise ModelUnavailableError(
            f"layer {config.get('name')} (BatchNormalization): axis is {found['axis']}; Keras 3 "
            f"normalises along one axis"
        )
    return found


_GROUPS = Rule(left_out={"groups": 1})
_RANDOM = Rule(left_out={"rng_type": ANY})
_RECURRENT = Rule(left_out={"time_major": False})
_DROPPED = Rule(left_out={"noise_shape": None, "trainable": ANY})
_BATCH_NORMALIZATION = Rule(
    becomes="BatchNormalization",
    left_out=dict.fromkeys(("fused", "virtual_batch_size", "adjustment"), ANY),
    rewrite=_one_axis,
)

RULES: dict[str, Rule] = {
    "InputLayer": Rule(renamed={"batch_input_shape": "batch_shape"}),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _GROUPS),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _GROUPS),
    **dict.fromkeys(("SeparableConvolution1D", "SeparableConvolution2D"), _GROUPS),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _GROUPS),
    **dict.fromkeys(("BatchNormalization", "BatchNormalizationV1"), _BATCH_NORMALIZATION),
    "BatchNormalizationV2": _BATCH_NORMALIZATION,
    "SyncBatchNormalization": Rule(module=PACKAGE, rewrite=_one_axis),
    "LayerNormalization": Rule(rewrite=_axis),
    "Normalization": Rule(rewrite=_normalization),
    "Softmax": Rule(rewrite=_axis),
    "UnitNormalization": Rule(rewrite=_axis),
    "LeakyReLU": Rule(renamed={"alpha": "negative_slope"}),
    "ThresholdedReLU": Rule(becomes="ReLU", renamed={"theta": "threshold"}),
    "RandomFlip": _RANDOM,
    "RandomRotation": _RANDOM,
    "RandomZoom": _RANDOM,
    "RandomTranslation": _RANDOM,
    "RandomContrast": _RANDOM,
    "RandomBrightness": _RANDOM,
    "RandomCrop": Rule("Resizing", left_out={"rng_type": ANY, "seed": ANY}, rewrite=_resized),
    **dict.fromkeys(("RandomHeight", "RandomWidth"), Rule("Activation", rewrite=_identity)),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), _DROPPED),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN"), _RECURRENT),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _RECURRENT),
    "MultiHeadAttention": Rule(
        left_out={
            **dict.fromkeys(("query_shape", "key_shape", "value_shape"), ANY),
            "softmax_robust_masking": False,
        }
    ),
    # Layers of keras.applications, which Keras 2 wrote as if they were code of the user
    "LayerScale": Rule(module="keras.src.applications.convnext"),
    "StochasticDepth": Rule(module="keras.src.applications.convnext"),
    **dict.fromkeys(
        ("CustomScaleLayer", "Custom>CustomScaleLayer"),
        Rule("CustomScaleLayer", module="keras.src.applications.inception_resnet_v2"),
    ),
}
