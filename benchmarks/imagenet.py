"""Counts the labelled photos that the packaged network names, by our `fit` and its authors' own.

`python -m benchmarks.imagenet FOLDER`: the folder has pictures such as `anything_243.jpg`, with the
class, 0 to 999, last in the name.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from worker.adapters.model_input import fit_picture
from worker.models.packaged import open_packaged

SHAPE = (224, 224, 3)
KINDS = {".jpg", ".jpeg", ".png"}
Pixels = np.ndarray[Any, Any]


def main() -> None:
    paths = sorted(each for each in Path(sys.argv[1]).iterdir() if each.suffix.lower() in KINDS)
    classes = np.array([int(path.stem.rsplit("_", 1)[-1]) for path in paths])
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    model = open_packaged("efficientnet-lite0")
    ways: dict[str, Callable[[Pixels], Pixels]] = {
        "as its authors": prepared_by_its_authors,
        "fit = crop": lambda photo: fit_picture(photo, SHAPE, fit="crop")[0],
        "fit = stretch": lambda photo: fit_picture(photo, SHAPE, fit="stretch")[0],
    }
    for name, prepare in ways.items():
        scores = np.asarray(model(np.stack([prepare(photo) for photo in photos])))  # (N, 1000)
        true = scores[np.arange(len(classes)), classes]
        better = (scores > true[:, np.newaxis]).sum(axis=1)
        print(
            f"{name}: of {len(classes)} {np.sum(better < 1)} first, {np.sum(better < 5)} within "
            f"five; mean score of the true class {true.mean():.3f}"
        )


def prepared_by_its_authors(photo: Pixels) -> Pixels:
    """Crop the central 87.5 % of the shorter side, by cubic interpolation.

    As `preprocess_for_eval` in tensorflow/tpu, models/official/efficientnet/preprocessing.py
    """
    H, W = photo.shape[:2]
    side = int(224 / (224 + 32) * min(H, W))
    top, left = (H - side + 1) // 2, (W - side + 1) // 2
    part = photo[top : top + side, left : left + side].astype(np.float32)
    resized = tf.compat.v1.image.resize_bicubic(part[np.newaxis], SHAPE[:2])
    whole: Pixels = np.asarray(resized)[0]
    return whole


if __name__ == "__main__":
    main()
