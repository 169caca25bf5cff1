"""The explained outputs: chosen once f(x) is known, then read and linked in every row of scores.

Two models that are compared answer the same coalitions, side by side in one row of scores. Every
explained class then has three columns: the score of the first model, that of the second, and the
first minus the second, which is a game of its own.
"""

from dataclasses import dataclass

import numpy as np

from worker.engine.arrays import Indices, Scores
from worker.engine.errors import OutputsError, ScoresError
from worker.engine.links import Link, add_up
from worker.engine.request import Top, is_tied, select_outputs

SIDES = 3  # columns of a class where two models are compared


@dataclass(frozen=True, eq=False)
class Pairing:
    """Which output of the second model is the class of each output of the first.

    counterparts: (n,) int64, -1 for a class that the second model does not have.
    """

    counterparts: Indices

    def columns(self, outputs: Indices) -> Indices:
        """Number the columns of outputs (K,) of the first model: (3 K,).

        With n outputs of the first model, i is its output i, n + i the second model's output of
        the same class, and 2 n + i their difference.
        """
        n = len(self.counterparts)
        return (outputs[:, np.newaxis] + n * np.arange(SIDES)).ravel()


def with_differences(scores: Scores) -> Scores:
    """Add the difference to both scores of each class: (B, 2 K) becomes (B, 3 K)."""
    one, other = scores[:, ::2], scores[:, 1::2]
    three = np.stack([one, other, one - other], axis=2)
    return three.reshape(len(scores), SIDES * one.shape[1])


def without_differences(scores: Scores) -> Scores:
    """Leave out the differences: (..., 3 K) becomes (..., 2 K)."""
    column = np.arange(scores.shape[-1])
    alone: Scores = scores[..., column % SIDES < SIDES - 1]
    return alone


class OutputScores:
    """Chooses outputs by the scores of f(x), and reads them, linked, from rows of scores.

    columns: (K,) int64, what the read columns stand for: outputs, or with a pairing its columns.
    tied: whether an output that is not among the top ones scores as high as their last.
    """

    def __init__(self, link: Link, pairing: Pairing | None = None) -> None:
        self._link = link
        self._pairing = pairing
        self._outputs: Indices = np.empty(0, np.int64)  # (K,), of the first model
        self._adding_up = [False, False]  # of each model
        self.columns: Indices | None = None
        self.tied = False

    @property
    def models(self) -> int:
        """Count the models that score each coalition."""
        return 2 if self._pairing else 1

    def choose(self, wanted: Top | tuple[int, ...], ends: Scores) -> None:
        """Choose by the scores (2, n_outputs) of the empty and the full coalition.

        Raises OutputsError for outputs that a model does not have.
        """
        parts = self._split(ends)
        outputs = select_outputs(wanted, parts[0][1])
        if self._pairing and (self._pairing.counterparts[outputs] < 0).any():
            missing = outputs[self._pairing.counterparts[outputs] < 0].tolist()
            raise OutputsError(
                f"the compared model has no class of the outputs {missing}", field="outputs"
            )
        self.tied = is_tied(wanted, parts[0][1])
        self._adding_up = [add_up(part) for part in parts]
        self._outputs = outputs
        self.columns = self._pairing.columns(outputs) if self._pairing else outputs

    def read(self, scores: Scores) -> Scores:
        """Read the chosen outputs from scores (B, n_outputs), linked: (B, K).

        Raises ScoresError for NaN or infinity in one of them, LinkError where the link is
        undefined.
        """
        first, *others = self._split(scores)
        one = self._read(first, self._outputs, self._adding_up[0], "model")
        if self._pairing is None:
            return one
        counterparts = self._pairing.counterparts[self._outputs]
        other = self._read(others[0], counterparts, self._adding_up[1], "compared model")
        both = np.stack([one, other], axis=2).reshape(len(scores), -1)
        return with_differences(both)  # (B, 3 K)

    def _split(self, scores: Scores) -> list[Scores]:
        """Return the scores of each model, (B, n_outputs) each."""
        if self._pairing is None:
            return [scores]
        return np.split(scores, [len(self._pairing.counterparts)], axis=1)

    def _read(self, scores: Scores, outputs: Indices, adding_up: bool, model: str) -> Scores:
        if not np.isfinite(scores[:, outputs]).all():
            raise ScoresError(
                f"the {model} gave NaN or infinity for a masked picture in at least one of the "
                f"outputs {outputs.tolist()}; only finite scores can be explained"
            )
        return self._link(scores, outputs, adding_up=adding_up)
