"""Converts an explanation's settings, as clients send them, into the engine's request."""

from service.schemas import requests
from service.schemas.masker_setting import parse_masker
from service.schemas.requests import Outputs, ResolvedSettings
from worker.engine.arrays import Labels
from worker.engine.errors import EngineError, OutputsError
from worker.engine.game import superpixels as engine
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.request import Request, Top


def engine_request(
    settings: ResolvedSettings, labels: list[str], label_map: Labels | None = None
) -> Request:
    """Build the engine's request; labels of outputs become indices.

    label_map: (H, W) int32 at the size of the model's input; needed where the superpixels are a
    label map. Raises OutputsError for labels that the model does not have, EngineError where the
    label map is missing.
    """
    return Request(
        method=settings.method,
        masker=read_masker(settings.masker),
        superpixels=_superpixels(settings.superpixels, label_map),
        outputs=_wanted(settings.outputs, labels),
        link=settings.link,
        max_evals=settings.max_evals,
        batch_size=settings.batch_size,
        fixed_context=settings.fixed_context,
        regularization=settings.regularization,
        target_standard_error=settings.target_standard_error,
        metrics=tuple(settings.metrics),
        seed=settings.seed,
    )


def read_masker(text: str) -> MaskerSpec:
    """Parse a masker as settings write it."""
    asked = parse_masker(text)
    return MaskerSpec(asked.kind, asked.numbers)


def _superpixels(asked: requests.Superpixels, label_map: Labels | None) -> engine.Superpixels:
    match asked:
        case requests.Pixels():
            return engine.Pixels(asked.channels)
        case requests.Grid():
            return engine.Grid(asked.rows, asked.columns)
        case requests.Slic():
            return engine.Slic(asked.segments, asked.compactness, asked.sigma)
        case requests.Labels():
            if label_map is None:
                raise EngineError("superpixels are labels, but there is no label map")
            return engine.LabelMap(label_map)


def _wanted(outputs: Outputs, labels: list[str]) -> Top | tuple[int, ...]:
    if outputs.top is not None:
        return Top(outputs.top)
    if outputs.indices is not None:
        return tuple(outputs.indices)
    absent = [label for label in outputs.labels or [] if label not in labels]
    if absent:
        message = f"the model has no outputs called {absent}"
        raise OutputsError(message, field="outputs", received=absent)
    return tuple(labels.index(label) for label in outputs.labels or [])
