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
    """The chosen predictor, the TensorFlow predictor, and the trial of each backend."""

    predictor: Predictor
    usual: Predictor
    trials: list[BackendTrial]


def choose(network: Network, preprocess: Preprocess, pictures: Mapping[str, Pictures]) -> Choice:
    """Compare OpenVINO with TensorFlow on trial pictures, each (H, W, C), and choose one.

    Raises TensorFlow's error for a model that TensorFlow cannot run.
    """
    given = np.stack(list(pictures.values()))  # (N, H, W, C)
    usual = RUNNERS["tensorflow"](network, preprocess)("float32")
    rows, columns, _ = usual.input_shape
    if rows * columns < MIN_PIXELS:
        return _usual(usual, f"it saves little with pictures as small as {rows} x {columns}")
    if not is_installed("openvino"):
        return _usual(usual, f"needs {extra('openvino')}")
    if usual.device != "cpu":
        return _usual(usual, f"it runs on CPUs, and TensorFlow here on {usual.device}")
    try:
        rival = RUNNERS["openvino"](network, preprocess)("float32")
        if rival.dtype != usual.dtype:
            return _usual(usual, f"it computes in {rival.dtype}, and the model in {usual.dtype}")
        found = score_trials(rival, given)
    except Exception as error:  # OpenVINO may raise anything for operations it lacks
        return _usual(usual, f"it does not run the model: {summarize(error)}")
    difference = _difference(found, score_trials(usual, given))
    if not difference <= AGREEMENT:
        said = f"scores differ from TensorFlow's by {difference:.1g} of the largest"
        return _usual(usual, f"{said}; {AGREEMENT:.0e} is allowed", difference)
    usual_ms, rival_ms = _cpu_ms(usual, rival, given)
    taken = rival_ms <= max(FAR_LONGER * usual_ms, usual_ms + NOTICED_MS)
    slow = f"it takes more than {FAR_LONGER:g} times the CPU time of TensorFlow"
    return Choice(
        rival if taken else usual,
        usual,
        [
            _trial("openvino", difference, rival_ms, None if taken else slow),
            _trial("tensorflow", 0.0, usual_ms, "openvino is preferred" if taken else None),
        ],
    )


def _usual(usual: Predictor, reason: str, difference: float | None = None) -> Choice:
    """Choose TensorFlow; reason: why OpenVINO is not used."""
    rival = _trial("openvino", difference, None, reason)
    return Choice(usual, usual, [rival, _trial("tensorflow", 0.0, None, None)])


def _trial(
    backend: str, difference: float | None, cpu_ms: float | None, reason: str | None
) -> BackendTrial:
    """Describe a trial; an infinite difference becomes None, as JSON has no infinity."""
    told = difference if difference is None or np.isfinite(difference) else None
    return BackendTrial(
        backend=backend, taken=reason is None, difference=told, cpu_ms=cpu_ms, reason=reason
    )


def _difference(scores: Scores, usual: Scores) -> float:
    """Return the largest difference over the largest usual score.

    Infinite where only one of two scores is finite.
    """
    largest = np.where(np.isfinite(usual), np.abs(usual), 0).max()
    return float(apart(scores, usual).max() / max(largest, np.finfo(np.float32).tiny))


def _cpu_ms(usual: Predictor, rival: Predictor, given: Pictures) -> tuple[float, float]:
    """Measure CPU milliseconds per picture of full batches: the least of several turns each."""
    batch = device_batch_size(usual.input_shape, usual.device)
    pictures = np.resize(given, (batch, *usual.input_shape))
    taken: dict[Predictor, list[float]] = {usual: [], rival: []}
    began = monotonic()
    for _ in range(TURNS):
        for predictor, seconds in taken.items():
            start = process_time()
            predictor(pictures)
            seconds.append(process_time() - start)
        if monotonic() - began > LONGEST_S:
            break
    first, second = (1e3 * min(seconds) / batch for seconds in taken.values())
    return first, second
