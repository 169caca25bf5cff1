"""Chooses the backend of a model whose table names none: OpenVINO, unless a check fails.

The choice must be stable, as the backend is part of the fingerprint, and times vary between starts
and machines. OpenVINO is the faster one on CPUs; TensorFlow is taken only where the pictures are
small, or where OpenVINO cannot be used, gives other scores, or takes far longer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic, process_time

import numpy as np

from service.schemas.models import BackendTrial
from worker.engine.arrays import Pictures
from worker.engine.predictor import Predictor
from worker.engine.scoring.batch_size import device_batch_size
from worker.models.backends import RUNNERS, Preprocess, extra, is_installed
from worker.models.consistency import Scores, apart, score_trials
from worker.models.error_causes import summarize
from worker.models.networks import Network

MIN_PIXELS = 64 * 64  # below it OpenVINO saves little of an explanation's time
AGREEMENT = 1e-5  # of the largest score; OpenVINO is within 2e-6 on the bundled models
# Both exceed the timing noise of a busy machine, as a changed choice would change the fingerprint.
# A call of a small model costs more than the pictures in it.
FAR_LONGER = 3.0  # times TensorFlow's CPU time
NOTICED_MS = 0.2  # of CPU time a picture
TURNS, LONGEST_S = 5, 2.0  # how often both are timed; no turn begins after LONGEST_S


@dataclass(frozen=True)
class Choice:
    """The chosen predictor, its scores of the trial pictures, and the trial of each backend.

    tensorflow: the TensorFlow predictor, whether chosen or not.
    """

    predictor: Predictor
    scores: Scores  # (N, K)
    tensorflow: Predictor
    trials: list[BackendTrial]


def choose(network: Network, preprocess: Preprocess, pictures: Mapping[str, Pictures]) -> Choice:
    """Compare OpenVINO with TensorFlow on trial pictures, each (H, W, C), and choose one.

    Raises TensorFlow's error for a model that TensorFlow cannot run.
    """
    tensorflow = RUNNERS["tensorflow"](network, preprocess)("float32")
    scores = score_trials(tensorflow, pictures)  # (N, K)

    def keep_tensorflow(reason: str, difference: float | None = None) -> Choice:
        """Choose TensorFlow; reason: why OpenVINO is not chosen."""
        refused = _trial("openvino", difference, None, reason)
        trials = [refused, _trial("tensorflow", 0.0, None, None)]
        return Choice(tensorflow, scores, tensorflow, trials)

    rows, columns, _ = tensorflow.input_shape
    if rows * columns < MIN_PIXELS:
        return keep_tensorflow(f"saves little on pictures as small as {rows} x {columns}")
    if not is_installed("openvino"):
        return keep_tensorflow(f"needs {extra('openvino')}")
    if tensorflow.device != "cpu":
        return keep_tensorflow(f"runs on CPUs only, and TensorFlow runs on {tensorflow.device}")
    try:
        openvino = RUNNERS["openvino"](network, preprocess)("float32")
        if openvino.dtype != tensorflow.dtype:
            return keep_tensorflow(
                f"computes in {openvino.dtype}, and the model in {tensorflow.dtype}"
            )
        openvino_scores = score_trials(openvino, pictures)
    except Exception as error:  # OpenVINO may raise anything for operations it lacks
        return keep_tensorflow(f"does not run the model: {summarize(error)}")
    # The largest difference over the largest score; infinite where only one of two is finite
    largest = np.where(np.isfinite(scores), np.abs(scores), 0).max()
    largest = max(largest, np.finfo(np.float32).tiny)
    difference = float(apart(openvino_scores, scores).max() / largest)
    if not difference <= AGREEMENT:
        return keep_tensorflow(
            f"scores differ from TensorFlow's by {difference:.1g} of the largest score; at most "
            f"{AGREEMENT:.0e} is accepted",
            difference,
        )
    tensorflow_ms, openvino_ms = _cpu_ms(tensorflow, openvino, pictures)
    if openvino_ms > max(FAR_LONGER * tensorflow_ms, tensorflow_ms + NOTICED_MS):
        reason = f"takes more than {FAR_LONGER:g} times the CPU time of TensorFlow"
        trials = [
            _trial("openvino", difference, openvino_ms, reason),
            _trial("tensorflow", 0.0, tensorflow_ms, None),
        ]
        return Choice(tensorflow, scores, tensorflow, trials)
    trials = [
        _trial("openvino", difference, openvino_ms, None),
        _trial("tensorflow", 0.0, tensorflow_ms, "openvino is preferred"),
    ]
    return Choice(openvino, openvino_scores, tensorflow, trials)


def _trial(
    backend: str, difference: float | None, cpu_ms: float | None, reason: str | None
) -> BackendTrial:
    """Describe a trial; an infinite difference becomes None, as JSON has no infinity."""
    finite = difference if difference is None or np.isfinite(difference) else None
    return BackendTrial(
        backend=backend, taken=reason is None, difference=finite, cpu_ms=cpu_ms, reason=reason
    )


def _cpu_ms(
    tensorflow: Predictor, openvino: Predictor, pictures: Mapping[str, Pictures]
) -> tuple[float, float]:
    """Measure CPU milliseconds per picture of full batches: the least of several turns each."""
    shape = tensorflow.input_shape
    count = device_batch_size(shape, tensorflow.device)
    batch = np.resize(np.stack(list(pictures.values())), (count, *shape))
    taken: dict[Predictor, list[float]] = {tensorflow: [], openvino: []}
    began = monotonic()
    for _ in range(TURNS):
        for predictor, seconds in taken.items():
            start = process_time()
            predictor(batch)
            seconds.append(process_time() - start)
        if monotonic() - began > LONGEST_S:
            break
    first, second = (1e3 * min(seconds) / count for seconds in taken.values())
    return first, second
