"""Train the bundled Fashion-MNIST network: two convolutions and a dense layer."""

from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from worker.bundled.training.augmentation import Augmentation
from worker.bundled.training.recipe import CLASSES, Pictures, Recipe, run

TILES_FILE = "fashion_tiles.npz"
PARTS = 5  # of which one is held out


def main() -> None:
    run(RECIPE, "Train the bundled Fashion-MNIST network, or measure it.")


def load(folder: Path | None) -> tuple[Pictures, Pictures]:
    """Return the tiles in `folder`, a fifth held out, or the official split of Keras's download."""
    if folder is None:
        train, test = keras.datasets.fashion_mnist.load_data()
        return pictures(*train), pictures(*test)
    with np.load(folder / TILES_FILE) as file:
        images, labels = file["images"], file["labels"]
    test_part = held_out(labels)
    train_part = ~test_part
    return (
        pictures(images[train_part], labels[train_part]),
        pictures(images[test_part], labels[test_part]),
    )


def pictures(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Pictures:
    return Pictures(images[..., None], labels)  # (N, 28, 28) -> (N, 28, 28, 1)


def held_out(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return booleans (N,), true for a fifth of each class, independent of the seed."""
    random = np.random.default_rng(0)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in range(CLASSES):
        members = random.permutation(np.flatnonzero(labels == label))
        chosen[members[: len(members) // PARTS]] = True
    return chosen


def network() -> keras.Model:
    """Build the model: pixel values (N, 28, 28, 1) in 0..255 to class probabilities (N, 10)."""
    pixels = keras.Input((28, 28, 1), name="pixels")
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))  # (N, 12544)
    return keras.Model(pixels, layers.Dense(CLASSES, activation="softmax")(x))


def optimizer(steps: int) -> keras.optimizers.Optimizer:
    """Return Adam with decoupled weight decay; the rate falls to 0 by a cosine."""
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    return keras.optimizers.AdamW(rate, weight_decay=1e-2)


RECIPE = Recipe(
    load=load,
    network=network,
    augmentation=Augmentation(
        flip=True, shift=2, scale=(0.85, 1.15), erased=0.3, erased_side=(4, 12), outside=0.0
    ),
    optimizer=optimizer,
    epochs=120,
    batch=40,
    smoothing=0.02,
    out=Path(__file__).parents[1] / "fashion_mnist.keras",
)

if __name__ == "__main__":
    main()
