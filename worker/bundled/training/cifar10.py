"""Train the bundled CIFAR-10 network.

A small residual network in the manner of David Page, "How to Train Your ResNet" (2018),
https://myrtle.ai/learn/how-to-train-your-resnet/ (convolutions, then one residual sum a stage; a
short training at a high rate), cut down to 32 million multiply-adds a picture.
"""

from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor, layers
from numpy.typing import NDArray

from worker.bundled.training.augmentation import Augmentation
from worker.bundled.training.recipe import CLASSES, Pictures, Recipe, run

JPEG_FILE = "cifar10_jpeg.npz"


def main() -> None:
    run(RECIPE, "Train the bundled CIFAR-10 network, or measure it.")


def load(folder: Path | None) -> tuple[Pictures, Pictures]:
    """Return the official split, from the JPEG copy in `folder` or from Keras's download."""
    if folder is None:
        (train, train_labels), (test, test_labels) = keras.datasets.cifar10.load_data()
        return Pictures(train, train_labels.ravel()), Pictures(test, test_labels.ravel())
    return read(folder / JPEG_FILE, "train"), read(folder / JPEG_FILE, "test")


def read(path: Path, part: str) -> Pictures:
    with np.load(path) as file:
        images = decode(file[f"{part}_jpeg"], file[f"{part}_offsets"])
        return Pictures(images, file[f"{part}_labels"])


def decode(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Decode concatenated JPEG files, file i at `offsets[i]:offsets[i + 1]`, to (N, H, W, 3)."""
    files = (data[start:end].tobytes() for start, end in pairwise(offsets))
    return np.stack([tf.io.decode_jpeg(f, dct_method="INTEGER_ACCURATE").numpy() for f in files])


def network() -> keras.Model:
    """Build the model: pixel values (N, 32, 32, 3) in 0..255 to class probabilities (N, 10)."""
    pixels = keras.Input((32, 32, 3), name="pixels")
    x = layers.Rescaling(1 / 64, offset=-120 / 64)(pixels)  # about mean 0 and deviation 1
    x = convolve(x, 24)
    for width in (48, 96, 104):  # (N, 16, 16, 48), (N, 8, 8, 96), (N, 4, 4, 104)
        x = convolve(x, width, strides=2)
        x = layers.Add()([x, convolve(convolve(x, width), width)])
    x = layers.GlobalAveragePooling2D()(x)  # (N, 104)
    return keras.Model(pixels, layers.Dense(CLASSES, activation="softmax")(x))


def convolve(x: KerasTensor, width: int, *, strides: int = 1) -> KerasTensor:
    x = layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def optimizer(steps: int) -> keras.optimizers.Optimizer:
    """Return SGD with Nesterov momentum; its rate rises for a fifth of the steps, then falls."""
    warmup = steps // 5
    rate = keras.optimizers.schedules.CosineDecay(
        0.01, steps - warmup, warmup_target=0.1, warmup_steps=warmup
    )
    return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=3e-3)


RECIPE = Recipe(
    load=load,
    network=network,
    augmentation=Augmentation(
        flip=True, shift=3, scale=(0.75, 1.1), erased=0.3, erased_side=(6, 16), outside=120.0
    ),
    optimizer=optimizer,
    epochs=15,
    batch=128,
    smoothing=0.05,
    out=Path(__file__).parents[1] / "cifar10.keras",
)

if __name__ == "__main__":
    main()
