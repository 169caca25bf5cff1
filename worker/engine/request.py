"""The settings of an explanation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from worker.engine.arrays import Indices, Scores
from worker.engine.errors import OutputsError, RequestError
from worker.engine.game.superpixels import PIXELS, Superpixels
from worker.engine.masking.masker_spec import INPAINT_TELEA, MaskerSpec
from worker.engine.metrics.perturbation import METRICS

FixedContext = Literal[0, 1] | None
Regularization = Literal["auto", "none"]
Sampling = Literal["adaptive", "random"]
SolutionConcept = Literal["shapley", "owen"]
InteractionOrder = Literal[1, 2]
Prior = Literal["picture", "uniform"]
ScoreScale = Literal["auto", "linear"]
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Top:
    """The `count` outputs with the highest scores of f(x); all outputs of a model with fewer."""

    count: int


@dataclass(frozen=True)
class Request:
    """The settings of one explanation; raises RequestError where one is out of range.

    method: a name in METHODS. outputs: Top(k) or indices. link: a name in LINKS. max_evals: the
    most evaluations, the empty and the full coalition included (methods that evaluate pairs may
    take one more). batch_size: coalitions chosen before their scores are read; it changes the
    values of Partition. fixed_context: see partition.py. regularization: see kernel.py.
    sampling, prior, score_scale, solution_concept, interactions: see gaussian_process.py.
    superpixels: how the picture is cut into players. target_standard_error: in units of the
    (linked) score; methods that estimate standard errors stop early once all are at most this.
    metrics: names in perturbation.METRICS, each at most once; their evaluations are added to
    max_evals. seed: 0..2**32-1, for every random choice.
    """

    method: str = "partition"
    masker: MaskerSpec = INPAINT_TELEA
    outputs: Top | tuple[int, ...] = Top(1)
    link: str = "identity"
    max_evals: int = 500
    batch_size: int = 50
    fixed_context: FixedContext = None
    regularization: Regularization = "auto"
    sampling: Sampling = "adaptive"
    solution_concept: SolutionConcept = "shapley"
    interactions: InteractionOrder = 1
    prior: Prior = "picture"
    score_scale: ScoreScale = "auto"
    superpixels: Superpixels = PIXELS
    target_standard_error: float | None = None
    metrics: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        _require("max_evals", self.max_evals, "at least 2", self.max_evals >= 2)
        _require("batch_size", self.batch_size, "at least 1", self.batch_size >= 1)
        _require("seed", self.seed, f"0..{MAX_SEED}", 0 <= self.seed <= MAX_SEED)
        target = self.target_standard_error
        _require("target_standard_error", target, "above 0", target is None or target > 0)
        context, names = self.fixed_context, set(self.metrics)
        _require("fixed_context", context, "None, 0 or 1", context is None or context in (0, 1))
        accepted = f"different names out of {', '.join(METRICS)}"
        valid = names <= set(METRICS) and len(names) == len(self.metrics)
        _require("metrics", self.metrics, accepted, valid)


def select_outputs(wanted: Top | tuple[int, ...], scores: Scores) -> Indices:
    """Choose outputs by the scores (n_outputs,) of f(x): (K,) int64.

    Top: highest score first, the lower index first among equal scores. Indices: as given. Raises
    OutputsError for an empty choice, and for repeated or missing indices.
    """
    if isinstance(wanted, Top):
        if wanted.count < 1:
            raise OutputsError(f"top is {wanted.count}; it must be at least 1")
        return np.argsort(-scores, kind="stable")[: wanted.count].astype(np.int64)
    if not wanted or len(set(wanted)) < len(wanted):
        raise OutputsError(
            f"outputs are {list(wanted)}; at least one index is needed, and none twice"
        )
    if min(wanted) < 0 or max(wanted) >= len(scores):
        raise OutputsError(
            f"outputs are {list(wanted)}; the model has the outputs 0..{len(scores) - 1}"
        )
    return np.array(wanted, dtype=np.int64)


def is_tied(wanted: Top | tuple[int, ...], scores: Scores) -> bool:
    """Return whether an output not chosen by Top scores as high as a chosen one.

    scores: (n_outputs,), of f(x).
    """
    if not isinstance(wanted, Top) or wanted.count >= len(scores):
        return False
    falling = np.sort(scores)[::-1]
    return bool(falling[wanted.count - 1] == falling[wanted.count])


def _require(name: str, value: object, accepted: str, holds: bool) -> None:
    if not holds:
        raise RequestError(f"{name} is {value!r}; it must be {accepted}")
