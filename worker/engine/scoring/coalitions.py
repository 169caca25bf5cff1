"""Scores coalitions that are known beforehand, without a method that chooses them."""

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

from worker.engine.arrays import Indices, Scores
from worker.engine.control import NULL_CONTROL, Control
from worker.engine.explanation import EngineTimings
from worker.engine.game.coalitions import Coalitions
from worker.engine.links import find_link
from worker.engine.masking.maskers import Masker
from worker.engine.outputs import OutputScores, Pairing
from worker.engine.predictor import Predictor
from worker.engine.scoring.batch_size import device_batch_size, next_span
from worker.engine.scoring.cpu_count import CPU_COUNT


def score_coalitions(
    predictor: Predictor,
    masker: Masker,
    coalitions: Coalitions,
    *,
    timings: EngineTimings,
    control: Control = NULL_CONTROL,
    batch: int | None = None,
    threads: int | None = None,
) -> Scores:
    """Score B coalitions: (B, n_outputs). Raises the Interruption of its control.

    timings: gets the time and the calls that this takes. batch and threads: see Pipeline.
    """
    batch = batch or device_batch_size(predictor.input_shape, predictor.device)
    scored: list[Scores] = []
    done = 0
    with ThreadPoolExecutor(threads or CPU_COUNT, thread_name_prefix="painter") as painters:
        while done < len(coalitions):
            control.check()
            span = coalitions[done : done + next_span(len(coalitions) - done, batch)]
            start = perf_counter()
            pictures = np.empty((len(span), *predictor.input_shape), np.float32)
            each = [slice(i, i + 1) for i in range(len(span))] if masker.costly else [slice(None)]
            list(painters.map(masker, [span[part] for part in each], [pictures[p] for p in each]))
            painted = perf_counter()
            scored.append(predictor(pictures).astype(np.float64))
            timings.mask_s += painted - start
            timings.model_s += perf_counter() - painted
            timings.evaluations += len(span)
            timings.batches += 1
            timings.slots += max(batch, len(span))
            done += len(span)
            control.progress(done, len(coalitions))
    return np.concatenate(scored)


def link_scores(
    scores: Scores, outputs: tuple[int, ...], link: str, pairing: Pairing | None = None
) -> tuple[Scores, Indices]:
    """Link the scores (B, n_outputs) of outputs, as an explanation does: (B, K), and these outputs.

    scores: the first two rows are those of the empty and of the full coalition. pairing: of two
    models; the answer then has its columns. Raises OutputsError for outputs that the model does not
    have, ScoresError for NaN or infinity in one of them, LinkError where the link is undefined.
    """
    chosen = OutputScores(find_link(link), pairing)
    chosen.choose(outputs, scores[:2])
    linked = chosen.read(scores)
    return linked, np.empty(0, np.int64) if chosen.columns is None else chosen.columns
