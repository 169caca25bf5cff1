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
    pictures: Mapping[str, Pictures], scores: NDArray[np.float32], unfused: Scorer
) -> list[ModelWarning]:
    """Warn about trial pictures with a NaN or infinite score, shown or hidden.

    scores: (N, K), of the pictures in their order. unfused: scores with the operations unfused;
    called for the pictures of one colour, as maskers paint, and for noise.
    """
    fused_nan = dict(zip(pictures, _non_finite(scores), strict=True))
    tried = [*OF_ONE_COLOUR, "noise"]
    unfused_scores = unfused(np.stack([pictures[name] for name in tried]))  # (4, K)
    unfused_nan = dict(zip(tried, _non_finite(unfused_scores), strict=True))
    shown = [name for name in pictures if fused_nan[name]]
    hidden = [name for name in tried if unfused_nan[name] and not fused_nan[name]]
    warnings = []
    if shown:
        detail = (
            f"some scores are NaN or infinite for trial pictures: {', '.join(shown)}; an "
            "explanation that needs such a score fails"
        )
        warnings.append(_warning(ModelWarningCode.NAN_SCORES, detail, shown))
    if hidden:
        detail = (
            f"the model's operations give NaN for trial pictures: {', '.join(hidden)}; the "
            "backend fuses operations, and so turns NaN into meaningless numbers"
        )
        warnings.append(_warning(ModelWarningCode.NAN_HIDDEN, detail, hidden))
    return warnings


def _non_finite(scores: NDArray[np.float32]) -> list[bool]:
    """Return for each row (K,) of scores (N, K) whether it has NaN or infinity."""
    return [not np.isfinite(row).all() for row in scores]


def _warning(code: ModelWarningCode, detail: str, pictures: Sequence[str]) -> ModelWarning:
    return ModelWarning(code=code, detail=detail, pictures=list(pictures))
