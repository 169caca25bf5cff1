"""Requests for coalitions of an explanation: the job that scores or paints them.

The job goes through the queue as explanations do, but it is never listed, has no artifacts, and is
deleted soon after its end. Its id is a digest of the request, so that an equal request finds the
job that is there already.
"""

import hashlib
from functools import partial

from anyio import to_thread

from service.api.http.problems import ApiError, retry_after
from service.api.http.statuses import STATUSES
from service.api.services import ProcessServices, RequestServices
from service.api.state.repository import require_scores
from service.api.submission.resolve_settings import resolve_outputs
from service.api.submission.served_models import (
    LOADING_RETRY_S,
    check_classes,
    check_together,
    no_worker_problem,
)
from service.api.submission.submit import queue_problem
from service.infra.logging import request_id
from service.jobs.admission_limits import QueueLimitError
from service.jobs.records import CoalitionSpec, JobSpec, State
from service.jobs.worker_registry import LiveWorkers, read_live_workers
from service.schemas.documents import ErrorCode, Status
from service.schemas.fingerprint import ModelRef, differing_parts, model_ref
from service.schemas.models import ModelCard, ModelStatus
from service.schemas.requests import Fit, Outputs
from service.schemas.scores import Coalition

DEFAULT_WAIT_S = 10  # where the request has no Prefer: wait=N


async def ask(
    services: RequestServices,
    state: State,
    asked: CoalitionSpec,
    *,
    outputs: Outputs | None = None,
    wait_s: float,
) -> State:
    """Returns the scores, once they are done or after `wait_s` seconds. Raises ApiError.

    state: of the explanation. outputs: replace those of `asked`.
    """
    job = partial(_submit, services.process, state, asked, outputs)
    id_ = await to_thread.run_sync(job)
    scores = require_scores(await services.process.change_feed.until_done(id_, wait_s), id_)
    return raise_if_failed(scores)


def raise_if_failed(scores: State) -> State:
    """Returns scores that have not failed. Raises ApiError with the worker's reason."""
    failure = scores.error
    if failure:
        headers = retry_after() if STATUSES[failure.code][0] == 503 else None
        raise ApiError(
            failure.code, failure.detail, failure.field, failure.received, failure.accepted, headers
        )
    if scores.status is Status.CANCELED:
        raise ApiError(ErrorCode.CANCELED, "the scores were canceled", "id", scores.id)
    return scores


def check_regions(coalition: Coalition, regions: int, *, under: str = "") -> None:
    """Raises ApiError if a coalition names a region twice, or one that the explanation lacks.

    under: the path to the coalition, with a final point.
    """
    where = f"{under}{'shown' if coalition.hidden is None else 'hidden'}"
    accepted = {"minimum": 0, "maximum": regions - 1}
    seen = set[int]()
    for number in coalition.regions:
        if number >= regions or number in seen:
            reason = "given more than once" if number in seen else "not one of the explanation's"
            detail = f"{where}: region {number} is {reason}"
            raise ApiError(ErrorCode.INVALID_PARAMETER, detail, where, number, accepted)
        seen.add(number)


def _submit(
    services: ProcessServices, state: State, asked: CoalitionSpec, outputs: Outputs | None
) -> str:
    """Queues the job, unless an equal one is there; returns its id. Blocking. Raises ApiError."""
    spec, outcome = state.spec, state.outcome
    if spec is None or outcome is None:
        raise ValueError(f"{state.id} has no result")
    present = read_live_workers(services.redis)
    card = _require_model(present, outcome.model, spec.settings.fit)
    other = outcome.compared
    compared = other and _require_model(present, other, spec.settings.fit)
    if compared:
        names = [card.name, compared.name]
        check_together(names, present.workers, setting="compare_with")
    if outputs:
        resolved = resolve_outputs(outputs, card, under="outputs")
        if compared:
            check_classes(resolved, card, compared)
        asked = asked.model_copy(update={"outputs": tuple(resolved.indices or ())})
    id_ = f"scr_{hashlib.sha256(asked.model_dump_json().encode()).hexdigest()[:32]}"
    settings = spec.settings.model_copy(update={"priority": "interactive", "metadata": {}})
    job = JobSpec(
        settings=settings,
        model=outcome.model,
        compared=other,
        image=spec.image,
        owner=state.owner,
        request_id=request_id(),
        traceparent=services.tracer.traceparent(),
        coalitions=asked,
    )
    try:
        services.submissions.accept(id_, job, timeout_s=services.settings.deadline_s)
    except QueueLimitError as full:
        raise queue_problem(full) from full
    return id_


def _require_model(present: LiveWorkers, model: ModelRef, fit: Fit) -> ModelCard:
    """Returns the card of the explanation's model. Raises ApiError if it is not served now."""
    if not present.workers:
        raise no_worker_problem()
    card = next((card for card in present.cards if card.name == model.name), None)
    if card is None or card.status is not ModelStatus.AVAILABLE:
        reason = card and (card.reason or f"it is {card.status.value}")
        detail = f"the model {model.name} cannot be used: {reason or 'no worker serves it'}"
        headers = retry_after(LOADING_RETRY_S)
        raise ApiError(ErrorCode.MODEL_UNAVAILABLE, detail, None, model.name, headers=headers)
    served = model_ref(card.name, card.parts, fit)
    if served.fingerprint != model.fingerprint:
        detail = (
            f"the model served as {model.name} is no longer the one that computed the explanation; "
            f"it differs in {differing_parts(model, served)}: explain the picture again"
        )
        raise ApiError(ErrorCode.MODEL_CHANGED, detail, None, model.fingerprint, served.fingerprint)
    return card
