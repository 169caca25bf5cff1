"""The transcript of a generator of coalitions: what it asked for, in order, and the scores it got.

A method and its metrics are such generators, and depend on nothing else that a model computes. So
the players, the settings and the transcript give the attribution again: see replay.py.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeVar

import numpy as np

from worker.engine.arrays import Scores
from worker.engine.game.coalitions import Coalitions

ROW = 512  # bytes; a coalition that takes more is kept as its digest
DIGEST = 16  # bytes, of BLAKE2b

R = TypeVar("R")


@dataclass(eq=False)
class Transcript:
    """Coalitions in the order they were asked for, and their scores.

    steps: the number of coalitions that were asked for at a time. rows: each coalition as
    `rows_of` describes it. scores: (B, K) float64 for each step.
    """

    steps: list[int] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)

    def add(self, coalitions: Coalitions, scores: Scores) -> None:
        """Add a step."""
        self.steps.append(len(coalitions))
        self.rows += rows_of(coalitions)
        self.scores.append(scores)

    def all_scores(self, outputs: int) -> Scores:
        """Return the scores of all steps, (B, K) for K outputs."""
        return np.concatenate([np.empty((0, outputs)), *self.scores])


def recorded(
    steps: Generator[Coalitions, Scores, R], transcript: Transcript
) -> Generator[Coalitions, Scores, R]:
    """Yield what a generator yields, and note each step with its scores."""
    try:
        coalitions = next(steps)
        while True:
            scores = yield coalitions
            transcript.add(coalitions, scores)
            coalitions = steps.send(scores)
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        steps.close()


def rows_of(coalitions: Coalitions) -> list[bytes]:
    """Describe each coalition: as its own description, or the digest of one above ROW bytes."""
    return [
        row if len(row) <= ROW else blake2b(row, digest_size=DIGEST).digest()
        for row in coalitions.rows()
    ]
