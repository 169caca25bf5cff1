"""EfficientNet-Lite0 as a Keras model, with the weights of its PyTorch port.

Mingxing Tan, Quoc V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks" (2019), https://arxiv.org/abs/1905.11946; the Lite variant, without squeeze-and-excite and
with ReLU6: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.models.errors import ModelUnavailableError
from worker.models.torch_file import Arrays

SIDE = 224
CLASSES = 1000
STEM, HEAD = 32, 1280  # channels of the first convolution and of the last
EPSILON = 1e-3  # of the batch normalisations

# For each block: kernel size, stride, inner channels, output channels
BLOCKS = (
    (3, 1, 32, 16),
    (3, 2, 96, 24),
    (3, 1, 144, 24),
    (5, 2, 144, 40),
    (5, 1, 240, 40),
    (3, 2, 240, 80),
    (3, 1, 480, 80),
    (3, 1, 480, 80),
    (5, 1, 480, 112),
    (5, 1, 672, 112),
    (5, 1, 672, 112),
    (5, 2, 672, 192),
    (5, 1, 1152, 192),
    (5, 1, 1152, 192),
    (5, 1, 1152, 192),
    (3, 1, 1152, 320),
)


def efficientnet_lite0(arrays: Arrays) -> Any:
    """Build the Keras model: pixel values (N, 224, 224, 3) in 0..255 to probabilities (N, 1000).

    arrays: by the names of the PyTorch port. Each batch normalisation is folded into the
    convolution before it, which halves the layers and changes only rounding. Raises
    ModelUnavailableError where an array is missing, superfluous, or of another shape.
    """
    from keras import Input, Model, layers

    rest = dict(arrays)

    def convolve(
        x: Any,
        conv: str,
        norm: str,
        channels: int,
        *,
        side: int = 1,
        strides: int = 1,
        depthwise: bool = False,
        activated: bool = True,
    ) -> Any:
        """Add a convolution with its batch normalisation folded in, and ReLU6 if activated."""
        shape = (channels, 1 if depthwise else x.shape[-1], side, side)
        kernel = _taken(rest, f"{conv}.weight", shape)
        gamma, beta, mean, variance = (
            _taken(rest, f"{norm}.{each}", (channels,))
            for each in ("weight", "bias", "running_mean", "running_var")
        )
        _taken(rest, f"{norm}.num_batches_tracked", ())  # used only in training
        scale = gamma / np.sqrt(variance + EPSILON)
        kernel, bias = kernel * scale[:, None, None, None], beta - mean * scale

        options = {"strides": strides, "padding": "same", "name": conv.strip("_")}
        if depthwise:
            layer = layers.DepthwiseConv2D(side, **options)
            kernel = kernel.transpose(2, 3, 0, 1)  # (C, 1, h, w) -> (h, w, C, 1)
        else:
            layer = layers.Conv2D(channels, side, **options)
            kernel = kernel.transpose(2, 3, 1, 0)  # (O, I, h, w) -> (h, w, I, O)
        y = layer(x)
        layer.set_weights([kernel, bias])
        return layers.ReLU(6)(y) if activated else y

    pixels = Input((SIDE, SIDE, 3), name="pixels")
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(pixels)
    x = convolve(x, "_conv_stem", "_bn0", STEM, side=3, strides=2)
    for index, (side, strides, inside, channels) in enumerate(BLOCKS):
        block, before = f"_blocks.{index}.", x
        if inside != x.shape[-1]:
            x = convolve(x, f"{block}_expand_conv", f"{block}_bn0", inside)
        x = convolve(
            x, f"{block}_depthwise_conv", f"{block}_bn1", inside,
            side=side, strides=strides, depthwise=True,
        )  # fmt: skip
        x = convolve(x, f"{block}_project_conv", f"{block}_bn2", channels, activated=False)
        if strides == 1 and channels == before.shape[-1]:
            x = layers.Add()([x, before])
    x = convolve(x, "_conv_head", "_bn1", HEAD)
    x = layers.GlobalAveragePooling2D()(x)  # (N, 1280)
    dense = layers.Dense(CLASSES, activation="softmax", name="fc")
    scores = dense(x)
    weight = _taken(rest, "_fc.weight", (CLASSES, HEAD))
    dense.set_weights([weight.T, _taken(rest, "_fc.bias", (CLASSES,))])
    if rest:
        raise ModelUnavailableError(f"EfficientNet-Lite0 has no arrays named {sorted(rest)}")
    return Model(pixels, scores, name="efficientnet_lite0")


def _taken(rest: Arrays, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Remove the array of this name from `rest` and return it. Raises ModelUnavailableError."""
    array = rest.pop(name, None)
    if array is None or array.shape != shape:
        found = "none" if array is None else f"one of shape {array.shape}"
        raise ModelUnavailableError(f"array {name} of shape {shape} is needed; received {found}")
    return array.astype(np.float64)
