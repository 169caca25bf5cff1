"""The measured cases: a model, a picture and the settings of its explanation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from worker.engine.arrays import Pictures
from worker.engine.game.coalitions import Shape

BUNDLED = Path(__file__).parents[1] / "worker" / "bundled" / "fashion_mnist.keras"
OUTPUTS = 4  # those with the highest scores
BATCH_SIZE = 50
SEGMENTS = 50


@dataclass(frozen=True)
class Case:
    """One explanation; Kernel SHAP's players are SEGMENTS superpixels, others' are pixels.

    cold: measured in fresh processes, from a loaded model to the first result, including what the
    explainer imports and compiles.
    """

    name: str
    model: str
    masker: str
    method: str = "partition"
    max_evals: int = 500
    cold: bool = False


CASES = [
    Case("resnet50-blur", "resnet50", "blur(128,128)"),
    Case("resnet50-inpaint", "resnet50", "inpaint_telea"),
    Case("fashion-warm", "fashion_mnist", "inpaint_telea"),
    Case("fashion-cold", "fashion_mnist", "inpaint_telea", cold=True),
    Case("permutation-warm", "fashion_mnist", "blur(28,28)", "permutation", 1600),
    Case("permutation-cold", "fashion_mnist", "blur(28,28)", "permutation", 1600, cold=True),
    Case("mobilenet-kernel", "mobilenet_v2", "constant(255)", "kernel", 1000),
    Case("mobilenet-5000", "mobilenet_v2", "blur(128,128)", max_evals=5000),
]


@dataclass(frozen=True)
class Subject:
    """The model of a case, its preprocessing, and a picture (H, W, C) in 0..255."""

    model: Any
    preprocess: Callable[[Any], Any]
    picture: Pictures


def load(case: Case) -> Subject:
    """Load the model of a case; with random weights if it has no file, as only time matters."""
    return SUBJECTS[case.model]()


def _resnet50() -> Subject:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(weights=None)
    return Subject(model, keras.applications.resnet50.preprocess_input, _picture((224, 224, 3)))


def _mobilenet_v2() -> Subject:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(weights=None)
    return Subject(model, keras.applications.mobilenet_v2.preprocess_input, _picture((224, 224, 3)))


def _fashion_mnist() -> Subject:
    import keras

    model = keras.models.load_model(BUNDLED) if BUNDLED.exists() else _two_convolutions()
    return Subject(model, lambda pictures: pictures, _picture((28, 28, 1)))


def _two_convolutions() -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def _picture(shape: Shape) -> Pictures:
    """Draw soft random blobs of whole intensities, the same every time."""
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), shape[0] / 16).reshape(shape)
    low, high = blobs.min(), blobs.max()
    picture: Pictures = np.rint((blobs - low) / (high - low) * 255).astype(np.float32)
    return picture


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "resnet50": _resnet50,
    "mobilenet_v2": _mobilenet_v2,
    "fashion_mnist": _fashion_mnist,
}
