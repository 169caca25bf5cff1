"""Link functions: on which scale contributions add up."""

from typing import Protocol

import numpy as np

from worker.engine.arrays import Indices, Scores
from worker.engine.errors import LinkError

# The float32 numbers next to 0 and 1. A softmax in float32 reaches 0 and 1 exactly, where the logit
# is infinite; moving only those two by one float32 step keeps every other value as it is.
NEAREST_0 = float(np.nextafter(np.float32(0), np.float32(1)))
NEAREST_1 = float(np.nextafter(np.float32(1), np.float32(0)))
# From this p on, float32 leaves fewer than seven bits to 1 - p; its logit is 11.8
SATURATED = 1 - 2.0**-17
ROUNDING = 1e-6
SUM_TOLERANCE = 1e-4  # how far a sum of scores may be from 1


def identity(scores: Scores, outputs: Indices, *, adding_up: bool = False) -> Scores:
    """Return the chosen outputs (K,) of scores (B, n_outputs) as they are: (B, K)."""
    return scores[:, outputs]


def logit(scores: Scores, outputs: Indices, *, adding_up: bool = False) -> Scores:
    """Return log(p / (1 - p)) of the chosen outputs (K,) of probabilities (B, n_outputs): (B, K).

    adding_up: whether the scores of a picture add up to 1, as those of a softmax do. Then the sum
    of the other scores replaces 1 - p above SATURATED, where float32 leaves 1 - p few bits; so the
    two classes of a model have logits of opposite sign and equal size. A score of 0 is replaced by
    the next float32 number, logit -103.3. A score of 1, where scores do not add up, is replaced by
    the float32 number below it, logit 16.6. Raises LinkError for scores outside 0..1.
    """
    p = scores[:, outputs]
    if p.min() < -ROUNDING or p.max() > 1 + ROUNDING:
        raise LinkError(
            f"the logit link needs probabilities in 0..1, but the model gave scores from "
            f"{p.min():.6g} to {p.max():.6g}; use the identity link"
        )
    p = np.clip(p, NEAREST_0, 1.0)
    rest = 1 - np.minimum(p, NEAREST_1)
    if adding_up:
        for row, k in np.argwhere(p > SATURATED):
            rest[row, k] = np.delete(scores[row], outputs[k]).clip(min=0).sum()
    log_odds: Scores = np.log(np.minimum(p, NEAREST_1) / np.maximum(rest, NEAREST_0))
    return log_odds


def add_up(scores: Scores) -> bool:
    """Return whether each row of scores (B, n_outputs), of two or more outputs, sums to 1."""
    return scores.shape[1] > 1 and bool((np.abs(scores.sum(axis=1) - 1) < SUM_TOLERANCE).all())


class Link(Protocol):
    """Maps scores (B, n_outputs) to linked scores (B, K) of the outputs (K,)."""

    def __call__(self, scores: Scores, outputs: Indices, *, adding_up: bool = False) -> Scores: ...


LINKS: dict[str, Link] = {"identity": identity, "logit": logit}


def find_link(name: str) -> Link:
    """Look a link up by name; raises LinkError for an unknown one."""
    if name not in LINKS:
        raise LinkError(f"link is {name!r}; it must be one of {', '.join(LINKS)}")
    return LINKS[name]
