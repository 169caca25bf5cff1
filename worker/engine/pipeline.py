"""Has coalitions painted and scored, in batches that suit the device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, cycle
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Pictures
from worker.engine.coalitions import Coalitions
from worker.engine.maskers import Masker
from worker.engine.physical import physical_batch
from worker.engine.run import Run

if TYPE_CHECKING:
    from worker.engine.predictor import Predictor

SHARES = 4  # of a batch a painter: fewer leave painters idle at its end, more cost hand-overs
Portion = tuple[Run, Coalitions]  # what one explanation has in a batch


@dataclass(frozen=True)
class Batch:
    """Portions on their way to the model. pictures: (N, H, W, C), theirs one after the other.

    painting: for each portion its parts under way; each gives the seconds it took.
    """

    portions: Sequence[Portion]
    pictures: Pictures
    painting: Sequence[Sequence[Future[float]]]


class Pipeline:
    """Paints one batch while the model has another.

    Two buffers of a physical batch are all the pictures it ever holds. batch: pictures a model call
    takes, at least 2 and give or take one; by default what suits the device. threads: painters; by
    default one a core.
    """

    def __init__(
        self, predictor: Predictor, *, batch: int | None = None, threads: int | None = None
    ) -> None:
        self._predictor = predictor
        self.batch = batch or physical_batch(predictor.input_shape, predictor.device)
        shape = (self.batch + 1, *predictor.input_shape)  # (N, H, W, C); see physical.py for the 1
        self._buffers = cycle([np.empty(shape, np.float32) for _ in range(2)])
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

    def paint(self, portions: Sequence[Portion]) -> Batch:
        """Start painting up to `batch` + 1 coalitions; at most one other batch may be under way."""
        buffer = next(self._buffers)
        ends = [0, *accumulate(len(coalitions) for _, coalitions in portions)]
        painting = [
            self._start(run.explanation.masker, coalitions, buffer[start : start + len(coalitions)])
            for (run, coalitions), start in zip(portions, ends, strict=False)
        ]
        return Batch(portions, buffer[: ends[-1]], painting)

    def _start(
        self, masker: Masker, coalitions: Coalitions, out: Pictures
    ) -> Sequence[Future[float]]:
        count = len(coalitions)
        share = max(1, count // (SHARES * self._threads)) if masker.costly else count
        parts = [slice(start, start + share) for start in range(0, count, share)]
        return [
            self._painters.submit(_paint_timed, masker, coalitions[part], out[part])
            for part in parts
        ]

    def wait(self, batch: Batch) -> None:
        """Wait until a batch is painted."""
        for (run, _), parts in zip(batch.portions, batch.painting, strict=True):
            run.explanation.timings.mask_s += sum(part.result() for part in parts)

    def score(self, batch: Batch) -> list[NDArray[np.float32]]:
        """Score a painted batch: (B, n_outputs) of each portion."""
        start = perf_counter()
        scores = self._predictor(batch.pictures)  # (N, n_outputs)
        each_s = (perf_counter() - start) / len(scores)
        for run, coalitions in batch.portions:
            run.explanation.timings.model_s += each_s * len(coalitions)
        ends = accumulate(len(coalitions) for _, coalitions in batch.portions)
        return np.split(scores, list(ends)[:-1])


def _paint_timed(masker: Masker, coalitions: Coalitions, out: Pictures) -> float:
    start = perf_counter()
    masker(coalitions, out)
    return perf_counter() - start
