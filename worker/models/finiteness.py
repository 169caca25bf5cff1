"""Finds pictures that a model scores with NaN or infinity, including NaN hidden by fusion.

Operations fused for speed may turn NaN into a number: a convolution fused with its ReLU gives 0,
and a softmax over three such scores a third each. Running the operations unfused shows the NaN.
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
    """Warn about trial pictures with a NaN or infinite score, shown or hidden.

    scores: (N, K), of the pictures in their order. plain: runs the model's operations unfused;
    called for the pictures of one colour, as maskers paint, and for noise.
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
    """Tell for each row (K,) of scores (N, K) whether it has NaN or infinity."""
    return [not np.isfinite(row).all() for row in scores]


def _warning(code: ModelWarningCode, detail: str, pictures: Sequence[str]) -> ModelWarning:
    return ModelWarning(code=code, detail=detail, pictures=list(pictures))
