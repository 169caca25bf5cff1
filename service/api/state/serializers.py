"""Converts an explanation's state to its document; pure functions."""

import math
from datetime import UTC, datetime
from functools import lru_cache

from service.api.http.problems import failure_problem
from service.jobs.codec import CACHED_EXPLANATIONS
from service.jobs.records import State
from service.schemas.documents import Explanation, Progress, Status
from service.schemas.keeping import Hold

DOCUMENT_BYTES, OUTPUT_BYTES = 3072, 256  # of JSON, roughly
MAX_PAUSE_S = 10  # of Retry-After


def explanation(state: State, root_path: str) -> Explanation:
    """Returns the document of an explanation that has not expired; links start with root_path."""
    spec, found = state.spec, state.outcome
    if spec is None:
        raise ValueError(f"{state.id} has expired and has no document")
    return Explanation(
        id=state.id,
        owner=state.owner,
        batch=spec.batch,
        status=state.status,
        done=state.status.done,
        created_at=to_datetime(state.created_at),
        started_at=to_datetime_or_none(state.started_at),
        finished_at=to_datetime_or_none(state.finished_at),
        expires_at=to_datetime_or_none(state.expires_at),
        attempts=state.attempts,
        cached_from=state.cached_from,
        reproduces=spec.reproduces,
        hold=hold_of(state),
        review=state.review,
        model=found.model if found else spec.model,
        compared=found.compared if found else spec.compared,
        settings=spec.settings,
        image=spec.image,
        label_map=spec.label_map,
        progress=progress(state),
        partial=found and found.partial,
        solution_concept=found and found.solution_concept,
        players=found and found.players,
        region_count=found and found.region_count,
        unresolved=found and found.unresolved,
        outputs=found and found.outputs,
        true_label=spec.true_label,
        correct=spec.correct(found) if found else None,
        efficiency_gap=found and found.efficiency_gap,
        target_reached=found and found.target_reached,
        warnings=found and found.warnings,
        metrics=found and found.metrics,
        crop=found and found.crop,
        placement=found and found.placement,
        runtime=found and found.runtime,
        compared_classes=found and found.compared_classes,
        compared_runtime=found and found.compared_runtime,
        timings=found and found.timings,
        links=links(state, root_path),
        error=failure_problem(state.error) if state.error else None,
    )


@lru_cache(CACHED_EXPLANATIONS)
def explanation_json(state: State, root_path: str) -> str:
    """Returns the document as JSON, cached until the state changes."""
    return explanation(state, root_path).model_dump_json()


def length(*states: State) -> int:
    """Estimates the bytes of the documents together."""
    outputs = sum(len(state.outcome.outputs) for state in states if state.outcome)
    return DOCUMENT_BYTES * len(states) + OUTPUT_BYTES * outputs


def links(state: State, root_path: str) -> dict[str, str]:
    """Returns the links that can be followed in the current state."""
    itself = path_of(state.id, root_path)
    found = {"self": itself, "events": f"{itself}/events"}
    found |= {"picture": f"{itself}/picture", "thumbnail": f"{itself}/thumbnail.png"}
    if state.spec and state.spec.label_map:
        found["label_map"] = f"{itself}/label_map"
    if state.spec and state.spec.batch:
        found["batch"] = f"{root_path}/v1/batches/{state.spec.batch}"
    if state.spec and state.spec.reproduces:
        found["reproduces"] = path_of(state.spec.reproduces, root_path)
    if state.hold:
        found["hold"] = f"{itself}/hold"
    if state.preview is not None:
        found["preview"] = f"{itself}/preview"
    if state.status in (Status.QUEUED, Status.RUNNING):
        found["cancel"] = f"{itself}/cancel"
    if state.status.done and state.result:
        found["attributions"] = f"{itself}/attributions"
        if state.spec and state.spec.reproduces:
            found["reproduction"] = f"{itself}/reproduction"
        if state.outcome and state.outcome.region_count is not None:
            found["regions"] = f"{itself}/regions"
            found["scores"] = f"{itself}/scores"
        found["heatmap"] = f"{itself}/heatmap.png"
        if state.review:
            found["reviews"] = f"{itself}/reviews"
        if state.record:
            found["record"] = f"{itself}/record"
        if state.outcome and state.outcome.metrics:
            found["faithfulness"] = f"{itself}/faithfulness"
            found["faithfulness_chart"] = f"{itself}/faithfulness.png"
    return found


def path_of(explanation_id: str, root_path: str) -> str:
    return f"{root_path}/v1/explanations/{explanation_id}"


def etag_of(state: State) -> str:
    """Returns a weak ETag, since the document may be sent compressed or not."""
    return f'W/"{state.version}"'


def retry_after_s(state: State) -> int:
    """Returns whole seconds until the next poll is useful."""
    eta = state.progress.eta_s or 1.0
    return math.ceil(min(max(eta, 1.0), MAX_PAUSE_S))


def hold_of(state: State) -> Hold | None:
    held = state.hold
    if held is None:
        return None
    until = to_datetime_or_none(held.until)
    return Hold(by=held.by, since=to_datetime(held.since), reason=held.reason, until=until)


def progress(state: State) -> Progress:
    count, status = state.progress, state.status
    fraction = min(count.evaluations / count.planned, 1.0) if count.planned else 0.0
    return Progress(
        evaluations=count.evaluations,
        planned=count.planned,
        fraction=1.0 if status is Status.SUCCEEDED else fraction,
        eta_s=None if status.done else count.eta_s,
    )


def to_datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def to_datetime_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else to_datetime(seconds)
