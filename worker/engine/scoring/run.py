"""One explanation in the pipeline, from its first coalition to its ending."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Scores
from worker.engine.control import Interruption
from worker.engine.errors import EngineError
from worker.engine.explanation import ExplanationResult, ExplanationRun
from worker.engine.game.coalitions import Coalitions

RunResult = ExplanationResult | Interruption | EngineError


class ScoringRun:
    """Hands out the coalitions of an explanation, and takes back their scores in the same order.

    ending: the result, or the exception that ended the explanation; None while it runs.
    """

    def __init__(self, explanation: ExplanationRun) -> None:
        self.explanation = explanation
        self.ending: RunResult | None = None
        self._steps = explanation.steps()
        self._coalitions = next(self._steps)
        self._taken = 0
        self._scores: deque[Scores] = deque()  # the scores of `_coalitions` received so far

    @property
    def waiting(self) -> int:
        """Count the coalitions of the current step not handed out yet."""
        return 0 if self.ending else len(self._coalitions) - self._taken

    def take(self, count: int) -> Coalitions:
        """Hand out the next coalitions, at most `count` of them."""
        start = self._taken
        self._taken = min(start + count, len(self._coalitions))
        return self._coalitions[start : self._taken]

    def check(self) -> None:
        """End the run where its control raises an Interruption."""
        try:
            self.explanation.control.check()
        except Interruption as interruption:
            self.explanation.keep(self._coalitions, self._scores)
            self.end(interruption)

    def give(self, scores: NDArray[np.float32]) -> None:
        """Take the scores (B, n_outputs) of the coalitions handed out next in order.

        Once all scores of a step have arrived, the explanation goes on to its next step.
        """
        if self.ending:
            return
        try:
            self._scores.append(self.explanation.read(scores))
            self.explanation.advance(len(scores))
            if sum(map(len, self._scores)) == len(self._coalitions):
                received = np.concatenate(self._scores)
                self._taken = 0
                self._scores.clear()
                self._coalitions = self._steps.send(received)
            self.explanation.offer_preview(self._scores)
        except StopIteration as stop:
            self.end(stop.value)
        except EngineError as error:
            self.end(error)

    def end(self, ending: RunResult) -> None:
        """End the run: no more coalitions are handed out."""
        self.ending = ending
        self._steps.close()
