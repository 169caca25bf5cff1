"""Stand-ins for what Keras 3 no longer has, or computes otherwise under the same name."""

from typing import Any

import keras
from keras import ops

from worker.models.keras2.layers import PACKAGE

HARD_SIGMOID = f"{PACKAGE}>keras2_hard_sigmoid"


@keras.saving.register_keras_serializable(package=PACKAGE, name="keras2_hard_sigmoid")
def keras2_hard_sigmoid(x: Any) -> Any:
    """Of Keras 2: 0.2 x + 0.5 within 0..1; Keras 3 divides by 6 where Keras 2 multiplies by 0.2."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SyncBatchNormalization(keras.layers.BatchNormalization):
    """Differs in training only; `.keras` files keep its weights by the name of its class."""
