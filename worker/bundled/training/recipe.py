"""Train, save and measure a bundled model: the code that the training scripts share.

The saved file holds built-in Keras layers alone, so it loads with `safe_mode=True`.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from worker.bundled.training.augmentation import Augmentation, augment

CLASSES = 10


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures: `images` (N, H, W, C) uint8, `labels` (N,) uint8."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Recipe:
    """What one script trains: its data, its network and how that learns."""

    load: Callable[[Path | None], tuple[Pictures, Pictures]]  # a folder or None -> train, test
    network: Callable[[], keras.Model]
    augmentation: Augmentation
    optimizer: Callable[[int], keras.optimizers.Optimizer]  # number of steps -> optimizer
    epochs: int
    batch: int
    smoothing: float  # of the labels
    out: Path


def run(recipe: Recipe, description: str) -> None:
    """Train, save and measure; with `--evaluate` only measure the saved file."""
    options = arguments(recipe, description)
    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    train, test = recipe.load(options.data)
    if not options.evaluate:
        fit(recipe, train, epochs=options.epochs, seed=options.seed, out=options.out)
    share = accuracy(options.out, test)
    print(f"{options.out.name}: {share:.2%} of {len(test.labels)} test pictures")


def arguments(recipe: Recipe, description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, help="folder with the data (default: download)")
    parser.add_argument("--out", type=Path, default=recipe.out, help="path of the model file")
    parser.add_argument("--epochs", type=int, default=recipe.epochs)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate", action="store_true", help="measure --out without training")
    return parser.parse_args()


def fit(recipe: Recipe, train: Pictures, *, epochs: int, seed: int, out: Path) -> None:
    """Train a fresh network; `out` is written after every epoch, so a broken run leaves a model."""
    batches = augmented(train, recipe.augmentation, batch=recipe.batch, seed=seed)
    model = recipe.network()
    model.compile(
        optimizer=recipe.optimizer(epochs * len(batches)),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.smoothing),
        metrics=["accuracy"],
        jit_compile=False,  # XLA gains nothing here on a CPU
    )
    bare = keras.Model(model.input, model.output, name=out.stem)  # without the optimizer's state
    save = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: bare.save(out))
    model.fit(batches, epochs=epochs, callbacks=[save], shuffle=False, verbose=2)


def augmented(pictures: Pictures, how: Augmentation, *, batch: int, seed: int) -> tf.data.Dataset:
    """Return shuffled batches: varied pictures (N, H, W, C) in 0..255 and one-hot labels (N, K).

    The key of the variation travels with its batch: parallel work does not change the result.
    """
    targets = keras.utils.to_categorical(pictures.labels, CLASSES)
    ordered = tf.data.Dataset.from_tensor_slices((pictures.images, targets))
    shuffled = ordered.shuffle(len(targets), seed=seed).batch(batch, drop_remainder=True)
    keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)

    def vary(chosen: tuple[tf.Tensor, tf.Tensor], key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return augment(chosen[0], key, how), chosen[1]

    return tf.data.Dataset.zip((shuffled, keys)).map(vary, num_parallel_calls=2).prefetch(4)


def accuracy(path: Path, test: Pictures) -> float:
    """Return the share of `test` that the saved file classifies correctly, in 0..1."""
    model = keras.saving.load_model(path, safe_mode=True)
    scores = model.predict(test.images.astype(np.float32), batch_size=100, verbose=0)  # (N, K)
    return float(np.mean(scores.argmax(axis=1) == test.labels))
