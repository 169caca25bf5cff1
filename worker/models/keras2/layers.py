"""Rules that translate a layer's config from Keras 2 to Keras 3: a table by class.

Initializers, regularizers and constraints are left out: only training uses them, the weights come
from the file, and some would need code of their own. Any other key that Keras 3 does not take is
left out only where the table says that it changes no score; Keras itself refuses the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worker.models.errors import ModelUnavailableError

Config = dict[str, Any]

OF_TRAINING = ("_initializer", "_regularizer", "_constraint")  # suffixes of keys
PACKAGE = "shapshot"  # under which our classes are registered with Keras
TENSOR = "tensor"  # key of a tensor's number in an operation's arguments
ANY = object()  # value of a key that changes no score, whatever it is


@dataclass(frozen=True)
class Rule:
    """How to translate a class's config from Keras 2 to Keras 3.

    becomes: the class in Keras 3, where its name differs. module: its module, if not that of
    layers. renamed: old keys by new ones. left_out: keys that Keras 3 does not take, each with the
    only value that may be left out. rewrite: any further change of the config.
    """

    becomes: str | None = None
    module: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, object] = field(default_factory=dict)
    rewrite: Callable[[Config], Config] = lambda config: config


def translate_settings(class_name: str, config: Config) -> tuple[Rule, Config]:
    """Return a class's rule, and a layer's config translated by it.

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
                    f"does not support; only {rule.left_out[key]} is accepted"
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
    """Replace a function that Keras 3 computes differently under the same name by Keras 2's."""
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
    """Return the name in a dtype policy: `{"class_name": "Policy", "config": {"name": …}}`."""
    return value["config"]["name"] if isinstance(value, dict) else value


def _identity(config: Config) -> Config:
    return {"name": config.get("name"), "activation": "linear"}


def _axis(config: Config) -> Config:
    """Unwrap a list of one axis; an empty list becomes None, as Keras 2 writes both as lists."""
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) < 2:
        return {**config, "axis": axis[0] if axis else None}
    return config


def _normalization(config: Config) -> Config:
    """Give mean and variance one shape, as Keras 3 requires."""
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
            f"accepts one axis"
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
    # In inference RandomCrop resizes, and crops to the target's aspect ratio
    "RandomCrop": Rule(
        becomes="Resizing",
        left_out={"rng_type": ANY, "seed": ANY},
        rewrite=lambda config: {**config, "crop_to_aspect_ratio": True},
    ),
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
    # Layers of keras.applications that Keras 2 wrote as if they were the user's own classes
    "LayerScale": Rule(module="keras.src.applications.convnext"),
    "StochasticDepth": Rule(module="keras.src.applications.convnext"),
    **dict.fromkeys(
        ("CustomScaleLayer", "Custom>CustomScaleLayer"),
        Rule("CustomScaleLayer", module="keras.src.applications.inception_resnet_v2"),
    ),
}
