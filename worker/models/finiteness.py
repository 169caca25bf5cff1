"""Where a model has no finite score: NaN that shows, and NaN that what runs the model hides.

Operations that are fused for speed may turn NaN into a number: a convolution with its ReLU makes it
0, and a softmax after them a third. What the operations give one by one tells.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from service.schemas.models import ModelWarning, ModelWarningCode
from worker.engine.arrays import Pictures
from worker.models.consistency import OF_ONE_COLOUR

Scorer = Callable[[Pictures], NDArray[np.float32]]


def check_finiteness(
    pictures: Mapping[str, Pictures], scores: NDArray[np.float32], plain: Scorer
) -> list[ModelWarning]:
    """Tell for which trial pictures, whose scores are given (N, K), NaN shows or is hidden.

    plain: gives the scores by the model's operations one by one; asked for pictures of one colour,
    as maskers make them, and for noise.
    """
    infinite = dict(zip(pictures, _infinite(scores), strict=True))
    tried = [*OF_ONE_COLOUR, "noise"]
    plainly = plain(np.stack([pictures[name] for name in tried]))  # (4, K)
    found = dict(zip(tried, _infinite(plainly), strict=True))
    shown = [name for name in pictures if infinite[name]]
    hidden = [name for name in tried if found[name] and not infinite[name]]
    warnings = []
    if shown:
        detail = (
            f"some of its scores are NaN or infinite for pictures such as: {', '.join(shown)}; "
            "explanations that need a score of one fail"
        )
        warnings.append(_warning(ModelWarningCode.NAN_SCORES, detail, shown))
    if hidden:
        detail = (
            f"its operations give NaN for pictures such as: {', '.join(hidden)}; what runs them "
            "fuses some, and turns it into numbers that mean nothing"
        )
        warnings.append(_warning(ModelWarningCode.NAN_HIDDEN, detail, hidden))
    return warnings


def _infinite(scores: NDArray[np.float32]) -> list[bool]:
    """Of each row (K,), whether it has NaN or infinity."""
    return [not np.isfinite(row).all() for row in scores]


def _warning(code: ModelWarningCode, detail: str, pictures: Sequence[str]) -> ModelWarning:
    return ModelWarning(code=code, detail=detail, pictures=list(pictures))
