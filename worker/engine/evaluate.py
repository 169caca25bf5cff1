"""Drives an explanation to its end: coalitions from the method, scores from the model."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from worker.engine.arrays import Pictures
from worker.engine.control import UNATTENDED, Control
from worker.engine.explanation import Explained, Explanation
from worker.engine.request import Request
from worker.engine.scorer import Scorer

if TYPE_CHECKING:
    from worker.engine.predictor import Predictor


def explain(
    predictor: Predictor,
    picture: Pictures,
    request: Request,
    *,
    control: Control = UNATTENDED,
    batch: int | None = None,
    threads: int | None = None,
) -> Explained:
    """Explain a picture (H, W, C), float32 in 0..255; see Explanation for what is raised.

    batch and threads: see Scorer; they do not change the numbers. Who wants a partial result of an
    explanation that is stopped makes the Explanation and calls `evaluate`.
    """
    explanation = Explanation(predictor, picture, request, control=control)
    return evaluate(explanation, predictor, batch=batch, threads=threads)


def evaluate(
    explanation: Explanation,
    predictor: Predictor,
    *,
    batch: int | None = None,
    threads: int | None = None,
) -> Explained:
    """Drive an explanation to its end.

    Whatever its control or the model raises goes through, once no thread is left running;
    `explanation.snapshot()` then gives what was known by then.
    """
    with Scorer(predictor, batch=batch, threads=threads) as scorer:
        return _drive(explanation, scorer)


def _drive(explanation: Explanation, scorer: Scorer) -> Explained:
    with closing(explanation.steps()) as steps:
        coalitions = next(steps)
        while True:
            scores = scorer.score(explanation, coalitions)  # (B, K)
            try:
                coalitions = steps.send(scores)
            except StopIteration as end:
                explained: Explained = end.value
                return explained
