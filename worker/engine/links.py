"""Link functions: on which scale contributions add up."""

from collections.abc import Callable

import numpy as np

from worker.engine.arrays import Scores
from worker.engine.errors import LinkError

# The float32 numbers next to 0 and 1. A softmax in float32 reaches 0 and 1 exactly, where the logit
# is infinite; moving only those two by one float32 step keeps every other value as it is.
NEAREST_0 = float(np.nextafter(np.float32(0), np.float32(1)))
NEAREST_1 = float(np.nextafter(np.float32(1), np.float32(0)))
ROUNDING = 1e-6


def identity(scores: Scores) -> Scores:
    """Give the scores, any shape, as they are."""
    return scores


def logit(scores: Scores) -> Scores:
    """Give log(p / (1 - p)) of probabilities, any shape.

    Exactly 0 and 1 count as the float32 numbers next to them: logits -103.3 and 16.6. Raises
    LinkError for scores outside 0..1.
    """
    if scores.min() < -ROUNDING or scores.max() > 1 + ROUNDING:
        raise LinkError(
            f"the logit link needs probabilities in 0..1, but the model gave scores from "
            f"{scores.min():.6g} to {scores.max():.6g}; use the identity link"
        )
    p = np.clip(scores, NEAREST_0, NEAREST_1)
    log_odds: Scores = np.log(p / (1 - p))
    return log_odds


LINKS: dict[str, Callable[[Scores], Scores]] = {"identity": identity, "logit": logit}


def find_link(name: str) -> Callable[[Scores], Scores]:
    """Look a link up by name; raises LinkError for an unknown one."""
    if name not in LINKS:
        raise LinkError(f"link is {name!r}; it must be one of {', '.join(LINKS)}")
    return LINKS[name]
