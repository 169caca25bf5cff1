"""Replacements for objects that Keras 3 removed, or computes differently under the same name."""

from typing import Any

import keras
from keras import ops

from worker.models.keras2.layers import PACKAGE

HARD_SIGMOID = f"{PACKAGE}>keras2_hard_sigmoid"


@keras.saving.register_keras_serializable(package=PACKAGE, name="keras2_hard_sigmoid")
def keras2_hard_sigmoid(x: Any) -> Any:
    """Compute Keras 2's 0.2 x + 0.5, clipped to 0..1; Keras 3 divides x by 6 instead."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SyncBatchNormalization(keras.layers.BatchNormalization):
    """Differs from the base in training only; `.keras` files key its weights by the class name."""
