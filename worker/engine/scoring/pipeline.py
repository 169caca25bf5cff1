"""Paints and scores coalitions, in batches that suit the device."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, cycle
from time import perf_counter
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Pictures
from worker.engine.game.coalitions import Coalitions
from worker.engine.masking.maskers import FillMasker, Masker
from worker.engine.predictor import Compositor, Predictor
from worker.engine.scoring.batch_size import device_batch_size
from worker.engine.scoring.cpu_count import CPU_COUNT
from worker.engine.scoring.run import ScoringRun

SHARES = 4  # per painter and batch: fewer leave painters idle at its end, more cost hand-overs
Portion = tuple[ScoringRun, Coalitions]  # the coalitions of one explanation in a batch


@dataclass(frozen=True)
class ModelBatch:
    """Portions on their way through the model.

    score: returns the scores (N, n_outputs) of all portions, in order. painting: for each portion
    painted on the host, its tasks; each returns the seconds it took.
    """

    portions: Sequence[Portion]
    score: Callable[[], NDArray[np.float32]]
    painting: Sequence[Sequence[Future[float]]] = ()


class Pipeline:
    """Paints one batch while the model scores another.

    A predictor that is a Compositor paints the batches it can itself. Memory for pictures is two
    buffers of one batch each. batch: pictures per model call, at least 2; calls may take one more.
    By default it suits the device. threads: painters; by default one per core.
    """

    def __init__(
        self, predictor: Predictor, *, batch: int | None = None, threads: int | None = None
    ) -> None:
        self._predictor = predictor
        self.batch = batch or device_batch_size(predictor.input_shape, predictor.device)
        # (N, H, W, C); next_span() may add 1
        shape = (self.batch + 1, *predictor.input_shape)
        self._buffers = cycle([np.empty(shape, np.float32) for _ in range(2)])
        self._threads = threads or CPU_COUNT
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

    def paint(self, portions: Sequence[Portion]) -> ModelBatch:
        """Start painting up to `batch` + 1 coalitions; at most one other batch may be under way."""
        if isinstance(self._predictor, Compositor):
            fillings = [
                (masker, coalitions)
                for run, coalitions in portions
                if isinstance(masker := run.explanation.masker, FillMasker)
            ]
            if len(fillings) == len(portions):
                return ModelBatch(portions, self._predictor.composite(fillings))

        buffer = next(self._buffers)
        painting: list[Sequence[Future[float]]] = []
        end = 0
        for run, coalitions in portions:
            start, end = end, end + len(coalitions)
            painting.append(self._start(run.explanation.masker, coalitions, buffer[start:end]))
        return ModelBatch(portions, partial(self._predictor, buffer[:end]), painting)

    def _start(
        self, masker: Masker, coalitions: Coalitions, out: Pictures
    ) -> Sequence[Future[float]]:
        def paint(part: slice) -> float:
            start = perf_counter()
            masker(coalitions[part], out[part])
            return perf_counter() - start

        count = len(coalitions)
        share = max(1, count // (SHARES * self._threads)) if masker.costly else count
        parts = [slice(start, start + share) for start in range(0, count, share)]
        return [self._painters.submit(paint, part) for part in parts]

    def wait(self, batch: ModelBatch) -> None:
        """Wait until all portions of a batch that the host paints are painted."""
        for (run, _), parts in zip(batch.portions, batch.painting, strict=False):
            run.explanation.timings.mask_s += sum(part.result() for part in parts)

    def score(self, batch: ModelBatch) -> list[NDArray[np.float32]]:
        """Score a painted batch: (B, n_outputs) of each portion."""
        start = perf_counter()
        scores = batch.score()  # (N, n_outputs)
        each_s = (perf_counter() - start) / len(scores)
        for run, coalitions in batch.portions:
            run.explanation.timings.model_s += each_s * len(coalitions)
            run.explanation.timings.evaluations += len(coalitions) * run.explanation.models
        first, _ = batch.portions[0]
        spent, models = first.explanation.timings, first.explanation.models
        spent.batches += models
        spent.slots += max(self.batch, len(scores)) * models
        ends = accumulate(len(coalitions) for _, coalitions in batch.portions)
        return np.split(scores, list(ends)[:-1])
