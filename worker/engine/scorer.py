"""Has coalitions painted and scored, in batches that suit the device."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from worker.engine.arrays import Pictures, Scores
from worker.engine.coalitions import Coalitions
from worker.engine.explanation import Explanation
from worker.engine.maskers import Masker
from worker.engine.physical import physical_batch, spans

if TYPE_CHECKING:
    from worker.engine.predictor import Predictor

SHARES = 4  # of a batch a painter: fewer leave painters idle at its end, more cost hand-overs
Painting = list[Future[float]]  # each gives the seconds it took


class Scorer:
    """Scores coalitions by a predictor, painting one physical batch while the model has another.

    Two buffers of a physical batch are all the pictures it ever holds. batch: pictures a model call
    takes, at least 2; by default what suits the device. threads: painters; by default one a core.
    """

    def __init__(
        self, predictor: Predictor, *, batch: int | None = None, threads: int | None = None
    ) -> None:
        self._predictor = predictor
        self._batch = batch or physical_batch(predictor.input_shape, predictor.device)
        # One more than a batch, as spans() may make it. (2, N, H, W, C)
        self._buffers = np.empty((2, self._batch + 1, *predictor.input_shape), dtype=np.float32)
        self._threads = threads or os.cpu_count() or 1
        self._painters = ThreadPoolExecutor(self._threads, thread_name_prefix="painter")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._painters.shutdown(wait=True, cancel_futures=True)

    def score(self, explanation: Explanation, coalitions: Coalitions) -> Scores:
        """Score B coalitions of an explanation, as it reads them: (B, K) float64.

        Checks the explanation's control before every call of the model, and advances it after.
        """
        cuts = spans(len(coalitions), self._batch)
        scores: list[Scores] = []
        pictures, painting = self._paint(explanation.masker, coalitions[cuts[0]], 0)
        for turn, _ in enumerate(cuts, start=1):
            explanation.timings.mask_s += sum(part.result() for part in painting)
            explanation.control.check()
            current = pictures
            if turn < len(cuts):
                following = coalitions[cuts[turn]]
                pictures, painting = self._paint(explanation.masker, following, turn % 2)
            scores.append(self._predict(explanation, current))
        return np.concatenate(scores)

    def _paint(
        self, masker: Masker, coalitions: Coalitions, buffer: int
    ) -> tuple[Pictures, Painting]:
        """Start painting into a buffer; its pictures are ready when the painting is done."""
        count = len(coalitions)
        pictures = self._buffers[buffer, :count]  # (N, H, W, C)
        share = max(1, count // (SHARES * self._threads)) if masker.costly else count
        parts = [slice(start, start + share) for start in range(0, count, share)]
        painting = [
            self._painters.submit(_paint_timed, masker, coalitions[part], pictures[part])
            for part in parts
        ]
        return pictures, painting

    def _predict(self, explanation: Explanation, pictures: Pictures) -> Scores:
        start = perf_counter()
        scores = self._predictor(pictures)  # (N, n_outputs)
        explanation.timings.model_s += perf_counter() - start
        read = explanation.read(scores)  # (N, K)
        explanation.advance(len(pictures))
        return read


def _paint_timed(masker: Masker, coalitions: Coalitions, out: Pictures) -> float:
    start = perf_counter()
    masker(coalitions, out)
    return perf_counter() - start
