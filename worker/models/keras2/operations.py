"""TensorFlow operations that a Keras 2 model has as layers, such as `x / 255.0`.

Keras 2 names them by their path in TensorFlow (`math.truediv`) and keeps their arguments in the
config. The operations listed here run as Keras's own operations, on any backend. Others are refused
by name: a name from a file is never looked up in TensorFlow.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from worker.models.keras2.layers import PACKAGE, TENSOR

Tensor = Any
Config = dict[str, Any]


@keras.saving.register_keras_serializable(package=PACKAGE)
class TensorOperation(keras.layers.Layer):
    """Carries out one operation on a list of tensors.

    arguments: the operation's first argument and its keywords; `{"tensor": n}` means tensor n.
    """

    def __init__(self, function: str, arguments: list[Any], **settings: Any) -> None:
        super().__init__(autocast=False, **settings)
        self.function = function
        self.arguments = arguments

    def call(self, tensors: list[Tensor]) -> Tensor:
        first, keywords = _filled(self.arguments, tensors)
        keywords.pop("name", None)
        return OPERATIONS[self.function](first, **keywords)

    def get_config(self) -> Config:
        return {**super().get_config(), "function": self.function, "arguments": self.arguments}


def _filled(value: Any, tensors: list[Tensor]) -> Any:
    if isinstance(value, list):
        return [_filled(each, tensors) for each in value]
    if isinstance(value, dict):
        if value.keys() == {TENSOR}:
            return tensors[value[TENSOR]]
        return {key: _filled(each, tensors) for key, each in value.items()}
    return value


def _axes(axis: Any) -> Any:
    """Convert a list of axes to a tuple, which Keras takes."""
    return tuple(axis) if isinstance(axis, list) else axis


def _reduction(reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduced(input_tensor: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        return reduce(input_tensor, axis=_axes(axis), keepdims=keepdims)

    return reduced


def _binary(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Wrap a binary operation to cast a constant to the tensor's dtype, as TensorFlow does."""

    def computed(x: Tensor, y: Tensor) -> Tensor:
        dtype = next(each.dtype for each in (x, y) if hasattr(each, "dtype"))
        return compute(ops.convert_to_tensor(x, dtype), ops.convert_to_tensor(y, dtype))

    return computed


def _unary(compute: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def computed(x: Tensor = None, **named: Tensor) -> Tensor:
        [tensor] = [x] if x is not None else named.values()  # "x", "features", "logits", "input" …
        return compute(tensor)

    return computed


def _index(part: Any) -> Any:
    if isinstance(part, dict):
        if part.get("class_name") == "__ellipsis__":
            return Ellipsis
        return slice(part["start"], part["stop"], part["step"])
    return part


def _split(value: Tensor, num_or_size_splits: Any, axis: int = 0, num: Any = None) -> Any:
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis=axis)
    ends = [sum(num_or_size_splits[: n + 1]) for n in range(len(num_or_size_splits) - 1)]
    return ops.split(value, ends, axis=axis)


def _matmul(
    a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False, **_: Any
) -> Tensor:
    a = ops.swapaxes(a, -1, -2) if transpose_a else a
    return ops.matmul(a, ops.swapaxes(b, -1, -2) if transpose_b else b)


def _resize(
    images: Tensor,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Tensor:
    if preserve_aspect_ratio:
        raise ValueError("preserve_aspect_ratio of tf.image.resize is not supported")
    images = ops.cast(images, "float32") if method != "nearest" else images
    return ops.image.resize(images, size, interpolation=method, antialias=antialias)


def _standardise(image: Tensor) -> Tensor:
    image = ops.cast(image, "float32")
    axes = (-1, -2, -3)
    count = image.shape[-1] * image.shape[-2] * image.shape[-3]
    deviation = ops.maximum(ops.std(image, axis=axes, keepdims=True), count**-0.5)
    return (image - ops.mean(image, axis=axes, keepdims=True)) / deviation


_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": ops.add,
    "subtract": ops.subtract,
    "multiply": ops.multiply,
    "truediv": ops.true_divide,
    "divide": ops.true_divide,
    "floordiv": ops.floor_divide,
    "maximum": ops.maximum,
    "minimum": ops.minimum,
    "pow": ops.power,
    "squared_difference": lambda x, y: ops.square(x - y),
}
_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": ops.absolute,
    "negative": ops.negative,
    "square": ops.square,
    "sqrt": ops.sqrt,
    "rsqrt": ops.rsqrt,
    "exp": ops.exp,
    "log": ops.log,
    "log1p": ops.log1p,
    "floor": ops.floor,
    "ceil": ops.ceil,
    "round": ops.round,
    "sign": ops.sign,
    "sin": ops.sin,
    "cos": ops.cos,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "softplus": ops.softplus,
    "reciprocal": ops.reciprocal,
}
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": ops.relu,
    "relu6": ops.relu6,
    "elu": ops.elu,
    "selu": ops.selu,
    "softsign": ops.softsign,
}
_REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "reduce_mean": ops.mean,
    "reduce_sum": ops.sum,
    "reduce_max": ops.max,
    "reduce_min": ops.min,
    "reduce_prod": ops.prod,
    "reduce_std": ops.std,
    "reduce_variance": ops.var,
    "reduce_logsumexp": ops.logsumexp,
}


# By TensorFlow's canonical names, under which Keras 2 wrote them, with TensorFlow's parameters
OPERATIONS: dict[str, Callable[..., Any]] = {
    "__operators__.getitem": lambda tensor, slice_spec: tensor[tuple(map(_index, slice_spec))],
    "__operators__.add": _binary(ops.add),
    **{f"math.{name}": _binary(compute) for name, compute in _BINARY.items()},
    **{f"math.{name}": _unary(compute) for name, compute in _UNARY.items()},
    **{f"math.{name}": _reduction(reduce) for name, reduce in _REDUCTIONS.items()},
    **{f"nn.{name}": _unary(compute) for name, compute in _ACTIVATIONS.items()},
    "nn.softmax": lambda logits, axis=None: ops.softmax(logits, -1 if axis is None else axis),
    "nn.log_softmax": lambda logits, axis=None: ops.log_softmax(
        logits, -1 if axis is None else axis
    ),
    "nn.leaky_relu": lambda features, alpha=0.2: ops.leaky_relu(features, negative_slope=alpha),
    "nn.gelu": lambda features, approximate=False: ops.gelu(features, approximate=approximate),
    "nn.silu": lambda features, beta=1.0: features * ops.sigmoid(beta * features),
    "nn.bias_add": lambda value, bias, data_format=None: _binary(ops.add)(value, bias),
    "math.l2_normalize": lambda x, axis=None, epsilon=1e-12, dim=None: (
        x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), _axes(axis), keepdims=True), epsilon))
    ),
    "math.add_n": lambda inputs: sum(inputs[1:], inputs[0]),
    "linalg.matmul": _matmul,
    "transpose": lambda a, perm=None, conjugate=False: ops.transpose(a, perm),
    "reshape": lambda tensor, shape: ops.reshape(tensor, shape),
    "concat": lambda values, axis: ops.concatenate(values, axis=axis),
    "stack": lambda values, axis=0: ops.stack(values, axis=axis),
    "split": _split,
    "expand_dims": lambda input, axis: ops.expand_dims(input, axis),
    "squeeze": lambda input, axis=None: ops.squeeze(input, _axes(axis)),
    "tile": lambda input, multiples: ops.tile(input, multiples),
    "pad": lambda tensor, paddings, mode="CONSTANT", constant_values=0: ops.pad(
        tensor, paddings, mode.lower(), constant_values if mode.upper() == "CONSTANT" else None
    ),
    "clip_by_value": lambda t, clip_value_min, clip_value_max: ops.clip(
        t, clip_value_min, clip_value_max
    ),
    "cast": lambda x, dtype: ops.cast(x, dtype),
    "identity": lambda input: input,
    "stop_gradient": lambda input: input,
    "image.resize": _resize,
    "image.rgb_to_grayscale": lambda images: ops.tensordot(
        images, ops.convert_to_tensor([0.2989, 0.587, 0.114], images.dtype), axes=[[-1], [-1]]
    )[..., None],
    "image.grayscale_to_rgb": lambda images: ops.concatenate([images] * 3, axis=-1),
    "image.per_image_standardization": _standardise,
}
