"""A row of a figure: the stored arrays of one explanation, and how they were made."""

from collections.abc import Sequence
from datetime import UTC, datetime

from service import render
from service.api.results import artifacts
from service.api.services import ProcessServices
from service.api.version import version
from service.jobs.records import State
from service.schemas.documents import ClassName
from service.schemas.results import Outcome

MAX_LABEL = 100  # characters of a true label in a drawing


def row_of(
    services: ProcessServices,
    state: State,
    shown: Sequence[int] | None = None,
    true_class: ClassName | None = None,
) -> render.Row:
    """Reads the row of these outputs, by position; None: all. Blocking. Raises ApiError."""
    outcome = artifacts.outcome_of(state)
    positions = range(len(outcome.outputs)) if shown is None else shown
    return render.Row(
        artifacts.load_attributions(services, state, shown),
        scores=[outcome.outputs[position].score for position in positions],
        true_label=true_class.label[:MAX_LABEL] if true_class else None,
        true_index=true_class.index if true_class else None,
        correct=_correct(state, true_class),
        origin=origin_of(state),
        sides=[outcome.outputs[position].of for position in positions] if outcome.compared else [],
        minus=minus_of(outcome),
    )


def minus_of(outcome: Outcome) -> str:
    """Returns what a difference is, as "one minus other"; empty if no models are compared."""
    compared = outcome.compared
    return f"{outcome.model.name} minus {compared.name}" if compared else ""


def _correct(state: State, true_class: ClassName | None) -> bool | None:
    """Returns whether the top class is this one, like the field `correct` of documents."""
    if state.spec is None:
        return None
    labelled = state.spec.model_copy(update={"true_label": true_class})
    return labelled.correct(artifacts.outcome_of(state))


def origin_of(state: State) -> render.Provenance | None:
    """Returns how an explanation was made; None if its request is gone."""
    if state.spec is None:
        return None
    settings, outcome = state.spec.settings, artifacts.outcome_of(state)
    model, compared = outcome.model, outcome.compared
    created = datetime.fromtimestamp(int(state.created_at), UTC)
    return render.Provenance(
        id=state.id,
        created_at=created.isoformat().replace("+00:00", "Z"),
        software=f"Shapshot {version()}",
        model=model.name,
        fingerprint=model.fingerprint,
        method=settings.method,
        players=settings.superpixels.kind,
        max_evals=settings.max_evals,
        masker=settings.masker,
        picture=getattr(state.spec.image, "name", None),
        compared=compared.name if compared else None,
        compared_fingerprint=compared.fingerprint if compared else None,
    )


def unit_of(states: Sequence[State], wanted: render.Unit | None) -> render.Unit:
    """Returns the unit of the colours: by default regions if all explanations have superpixels."""
    if wanted is not None:
        return wanted
    superpixels = all(
        state.spec is not None
        and state.spec.settings.superpixels.kind != "pixels"
        and artifacts.outcome_of(state).region_count is not None
        for state in states
    )
    return "region" if superpixels else "pixel"
