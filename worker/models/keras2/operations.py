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


def _reduction(reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduced(input_tensor: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        return reduce(
            input_tensor, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims
        )

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


def _getitem(tensor: Tensor, slice_spec: Any) -> Tensor:
    return tensor[tuple(_index(each) for each in slice_spec)]


def _index(part: Any) -> Any:
    if isinstance(part, dict):
        if part.get("class_name") == "__ellipsis__":
            return Ellipsis
        return slice(part["start"], part["stop"], part["step"])
    return part


def _softmax(logits: Tensor, axis: int | None = None) -> Tensor:
    return ops.softmax(logits, axis=-1 if axis is None else axis)


def _log_softmax(logits: Tensor, axis: int | None = None) -> Tensor:
    return ops.log_softmax(logits, axis=-1 if axis is None else axis)


def _leaky_relu(features: Tensor, alpha: float = 0.2) -> Tensor:
    return ops.leaky_relu(features, negative_slope=alpha)


def _gelu(features: Tensor, approximate: bool = False) -> Tensor:
    return ops.gelu(features, approximate=approximate)


def _silu(features: Tensor, beta: float = 1.0) -> Tensor:
    return features * ops.sigmoid(beta * features)


def _transpose(a: Tensor, perm: Any = None, conjugate: bool = False) -> Tensor:
    return ops.transpose(a, perm)


def _reshape(tensor: Tensor, shape: Any) -> Tensor:
    return ops.reshape(tensor, shape)


def _concat(values: Any, axis: int) -> Tensor:
    return ops.concatenate(values, axis=axis)


def _stack(values: Any, axis: int = 0) -> Tensor:
    return ops.stack(values, axis=axis)


def _split(value: Tensor, num_or_size_splits: Any, axis: int = 0, num: Any = None) -> Any:
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis=axis)
    ends = [sum(num_or_size_splits[: n + 1]) for n in range(len(num_or_size_splits) - 1)]
    return ops.split(value, ends, axis=axis)


def _expand_dims(input: Tensor, axis: int) -> Tensor:
    return ops.expand_dims(input, axis)


def _squeeze(input: Tensor, axis: Any = None) -> Tensor:
    return ops.squeeze(input, tuple(axis) if isinstance(axis, list) else axis)


def _tile(input: Tensor, multiples: Any) -> Tensor:
    return ops.tile(input, multiples)


def _pad(
    tensor: Tensor, paddings: Any, mode: str = "CONSTANT", constant_values: float = 0
) -> Tensor:
    if mode.upper() == "CONSTANT":
        return ops.pad(tensor, paddings, "constant", constant_values)
    return ops.pad(tensor, paddings, mode.lower())


def _clip(t: Tensor, clip_value_min: float, clip_value_max: float) -> Tensor:
    return ops.clip(t, clip_value_min, clip_value_max)


def _cast(x: Tensor, dtype: str) -> Tensor:
    return ops.cast(x, dtype)


def _matmul(
    a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False, **_: Any
) -> Tensor:
    a = ops.swapaxes(a, -1, -2) if transpose_a else a
    return ops.matmul(a, ops.swapaxes(b, -1, -2) if transpose_b else b)


def _bias_add(value: Tensor, bias: Tensor, data_format: str | None = None) -> Tensor:
    return _binary(ops.add)(value, bias)


def _add_n(inputs: Any) -> Tensor:
    return sum(inputs[1:], inputs[0])


def _l2_normalize(x: Tensor, axis: Any = None, epsilon: float = 1e-12, dim: Any = None) -> Tensor:
    along = tuple(axis) if isinstance(axis, list) else axis
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=along, keepdims=True), epsilon))


def _resize(
    images: Tensor,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Tensor:
    if preserve_aspect_ratio:
        raise ValueError("tf.image.resize with preserve_aspect_ratio is not read from Keras 2")
    images = ops.cast(images, "float32") if method != "nearest" else images
    return ops.image.resize(images, size, interpolation=method, antialias=antialias)


def _rgb_to_grayscale(images: Tensor) -> Tensor:
    return ops.tensordot(
        images, ops.convert_to_tensor([0.2989, 0.587, 0.114], images.dtype), axes=[[-1], [-1]]
    )[..., None]


def _grayscale_to_rgb(images: Tensor) -> Tensor:
    return ops.concatenate([images] * 3, axis=-1)


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


# By TensorFlow's canonical names, under which Keras 2 wrote them
OPERATIONS: dict[str, Callable[..., Any]] = {
    "__operators__.getitem": _getitem,
    "__operators__.add": _binary(ops.add),
    **{f"math.{name}": _binary(compute) for name, compute in _BINARY.items()},
    **{f"math.{name}": _unary(compute) for name, compute in _UNARY.items()},
    **{f"math.{name}": _reduction(reduce) for name, reduce in _REDUCTIONS.items()},
    **{f"nn.{name}": _unary(compute) for name, compute in _ACTIVATIONS.items()},
    "nn.softmax": _softmax,
    "nn.log_softmax": _log_softmax,
    "nn.leaky_relu": _leaky_relu,
    "nn.gelu": _gelu,
    "nn.silu": _silu,
    "nn.bias_add": _bias_add,
    "math.l2_normalize": _l2_normalize,
    "math.add_n": _add_n,
    "linalg.matmul": _matmul,
    "transpose": _transpose,
    "reshape": _reshape,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "tile": _tile,
    "pad": _pad,
    "clip_by_value": _clip,
    "cast": _cast,
    "identity": lambda input: input,
    "stop_gradient": lambda input: input,
    "image.resize": _resize,
    "image.rgb_to_grayscale": _rgb_to_grayscale,
    "image.grayscale_to_rgb": _grayscale_to_rgb,
    "image.per_image_standardization": _standardise,
}
