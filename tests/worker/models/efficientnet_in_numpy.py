"""EfficientNet-Lite0 again, in NumPy and float64 only, channels first, as in the paper.

Batch normalisation is computed by its definition, not folded; convolutions are sums of shifted
pictures. It shares only the names of the arrays with our network.
"""

from itertools import count

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STRIDES_2 = (1, 3, 5, 11)  # first of stages 2, 3, 4, 6, which have 1, 2, 2, 3, 3, 4 and 1 blocks


def scores_of(arrays: dict[str, NDArray], picture: Array) -> Array:
    """Pixel values (224, 224, 3) in 0..255 -> probabilities (1000,)."""
    weights = {name: array.astype(np.float64) for name, array in arrays.items()}

    def normalise(x: Array, name: str) -> Array:
        gamma, beta, mean, variance = (
            weights[f"{name}.{part}"][:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def convolve(x: Array, name: str, strides: int = 1) -> Array:
        kernel = weights[f"{name}.weight"]  # (O, I, k, k)
        side = kernel.shape[-1]
        rows = -(-x.shape[1] // strides)
        missing = max((rows - 1) * strides + side - x.shape[1], 0)
        before = missing // 2  # like TensorFlow: an odd one at the end
        padded = np.pad(x, ((0, 0), *2 * ((before, missing - before),)))
        reach = (rows - 1) * strides + 1
        total: Array = np.zeros((len(kernel), rows, rows))
        for i, j in np.ndindex(side, side):
            seen = padded[:, i : i + reach : strides, j : j + reach : strides]  # (I, rows, rows)
            if name.endswith("_depthwise_conv"):
                total += kernel[:, 0, i, j, None, None] * seen
            else:
                total += np.tensordot(kernel[:, :, i, j], seen, axes=1)
        return total

    def relu6(x: Array) -> Array:
        return np.clip(x, 0, 6)

    x = (picture.transpose(2, 0, 1) - 127) / 128
    x = relu6(normalise(convolve(x, "_conv_stem", strides=2), "_bn0"))
    for index in count():
        block, shortcut = f"_blocks.{index}.", x
        if f"{block}_project_conv.weight" not in weights:
            break
        if f"{block}_expand_conv.weight" in weights:
            x = relu6(normalise(convolve(x, f"{block}_expand_conv"), f"{block}_bn0"))
        strides = 2 if index in STRIDES_2 else 1
        x = relu6(normalise(convolve(x, f"{block}_depthwise_conv", strides), f"{block}_bn1"))
        x = normalise(convolve(x, f"{block}_project_conv"), f"{block}_bn2")
        if x.shape == shortcut.shape:
            x = x + shortcut
    x = relu6(normalise(convolve(x, "_conv_head"), "_bn1"))
    logits = weights["_fc.weight"] @ x.mean(axis=(1, 2)) + weights["_fc.bias"]
    powers: Array = np.exp(logits - logits.max())
    return powers / powers.sum()
