"""The models that score an explanation's coalitions: one, or two that are compared."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from service.schemas.classes import column_labels, match_classes
from service.schemas.fingerprint import ModelRef, differing_parts, model_ref
from service.schemas.requests import ResolvedSettings
from service.schemas.results import OutputOf
from worker.engine.backends.pair import PairPredictor
from worker.engine.errors import OutputsError, PredictorError, RequestError
from worker.engine.outputs import Pairing
from worker.engine.predictor import Predictor
from worker.models.loading import LoadedModel

SIDES: tuple[OutputOf, ...] = ("model", "compared", "difference")


class ServedModels(Protocol):
    """The models of a worker by name; `get` raises ModelUnavailableError."""

    def get(self, name: str) -> LoadedModel: ...


@dataclass(frozen=True, eq=False)
class ScoringModels:
    """One model, or two with the pairing of their outputs.

    refs: identity of each with the fit of the explanation. predictor: of both, where there are two.
    labels: of each output, or of each column of the pairing.
    """

    models: tuple[LoadedModel, ...]
    refs: tuple[ModelRef, ...]
    predictor: Predictor
    labels: list[str]
    pairing: Pairing | None = None

    @property
    def group(self) -> tuple[int, ...]:
        """Return what explanations have in common that can share batches."""
        return tuple(id(model.predictor) for model in self.models)

    def describe(self, column: int) -> tuple[OutputOf, int]:
        """Return what an output or column belongs to, and the index of its class."""
        if self.pairing is None:
            return "model", column
        side, place = divmod(column, len(self.pairing.counterparts))
        return SIDES[side], place


def find_models(served: ServedModels, settings: ResolvedSettings) -> ScoringModels:
    """Return the models of an explanation.

    Raises ModelUnavailableError, RequestError where two cannot be compared.
    """
    model = served.get(settings.model)
    ref = model_ref(settings.model, model.card.parts, settings.fit)
    if settings.compare_with is None:
        return ScoringModels((model,), (ref,), model.predictor, model.labels)
    other = served.get(settings.compare_with)
    other_ref = model_ref(settings.compare_with, other.card.parts, settings.fit)
    try:
        predictor = PairPredictor(model.predictor, other.predictor)
    except PredictorError as error:
        received = settings.compare_with
        raise RequestError(str(error), field="compare_with", received=received) from error
    counterparts = match_classes(model.labels, other.labels)
    if not any(place is not None for place in counterparts):
        raise OutputsError(
            f"{settings.model} and {settings.compare_with} have no class in common",
            field="compare_with",
            received=settings.compare_with,
        )
    places = np.array([-1 if place is None else place for place in counterparts], np.int64)
    return ScoringModels(
        (model, other),
        (ref, other_ref),
        predictor,
        column_labels(model.labels, settings.model, settings.compare_with),
        Pairing(places),
    )


def change_of(found: ScoringModels, *accepted: ModelRef | None) -> str | None:
    """Return how the models differ from those that a job was accepted for; None: not at all.

    accepted: of each model; one without a fingerprint, or None, accepts any.
    """
    for used, before in zip(found.refs, accepted, strict=False):
        if before is not None and before.fingerprint not in (None, used.fingerprint):
            return (
                f"model {used.name} with the fingerprint {before.fingerprint}; this worker serves "
                f"{used.fingerprint}, which differs in {differing_parts(before, used)}"
            )
    return None
