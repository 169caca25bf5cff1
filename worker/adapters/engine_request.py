"""Converts an explanation's settings, as clients send them, into the engine's request."""

from service.schemas import requests
from service.schemas.masker_setting import parse_masker
from service.schemas.requests import ResolvedSettings
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
    superpixels: engine.Superpixels
    match settings.superpixels:
        case requests.Pixels() as pixels:
            superpixels = engine.Pixels(pixels.channels)
        case requests.Grid() as grid:
            superpixels = engine.Grid(grid.rows, grid.columns)
        case requests.Slic() as slic:
            superpixels = engine.Slic(slic.segments, slic.compactness, slic.sigma)
        case requests.Labels():
            if label_map is None:
                raise EngineError("superpixels are labels, but no label map is given")
            superpixels = engine.LabelMap(label_map)

    outputs: Top | tuple[int, ...]
    if settings.outputs.top is not None:
        outputs = Top(settings.outputs.top)
    elif settings.outputs.indices is not None:
        outputs = tuple(settings.outputs.indices)
    else:
        wanted = settings.outputs.labels or []
        unknown = [label for label in wanted if label not in labels]
        if unknown:
            message = f"the model has no outputs with the labels {unknown}"
            raise OutputsError(message, field="outputs", received=unknown)
        outputs = tuple(labels.index(label) for label in wanted)

    return Request(
        method=settings.method,
        masker=read_masker(settings.masker),
        superpixels=superpixels,
        outputs=outputs,
        link=settings.link,
        max_evals=settings.max_evals,
        batch_size=settings.batch_size,
        fixed_context=settings.fixed_context,
        regularization=settings.regularization,
        sampling=settings.sampling,
        interactions=settings.interactions,
        prior=settings.prior,
        score_scale=settings.score_scale,
        solution_concept=settings.solution_concept or "shapley",
        target_standard_error=settings.target_standard_error,
        metrics=tuple(settings.metrics),
        seed=settings.seed,
    )


def read_masker(text: str) -> MaskerSpec:
    """Parse a masker in the notation of the settings, such as "blur(16,16)"."""
    parsed = parse_masker(text)
    return MaskerSpec(parsed.kind, parsed.numbers)
