"""Converts a batch's state to its document; pure functions."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

from service.api.http.problems import failure_problem
from service.api.state import serializers
from service.api.state.repository import BatchState, BatchSummary
from service.jobs.records import JobSpec, State
from service.schemas.documents import (
    Batch,
    BatchMember,
    BatchOverview,
    BatchStatus,
    Progress,
    Status,
    TopClass,
)
from service.schemas.requests import ResolvedSettings


def batch(state: BatchState, root_path: str) -> Batch:
    """Returns the document of a batch that has a live explanation; links start with root_path."""
    members = state.members.values()
    started = [member.started_at for member in members if member.started_at is not None]
    outcomes = [member.outcome for member in members if member.outcome]
    spec = next(member.spec for member in members if member.spec)
    finished_at = _largest(member.finished_at for member in members) if state.done else None
    expires_at = _largest(member.expires_at for member in members) if state.done else None
    return Batch(
        id=state.batch.id,
        owner=state.batch.owner,
        status=_status({member.status for member in members}),
        done=state.done,
        created_at=serializers.to_datetime(state.batch.created_at),
        started_at=serializers.to_datetime_or_none(min(started, default=None)),
        finished_at=serializers.to_datetime_or_none(finished_at),
        expires_at=serializers.to_datetime_or_none(expires_at),
        size=len(state.batch.members),
        counts=dict.fromkeys(Status, 0) | Counter(member.status for member in members),
        settings=_common_settings(member.spec for member in members if member.spec),
        model=spec.model,
        label_map=spec.label_map,
        warnings=Counter(
            code for each in outcomes for code in {warning.code for warning in each.warnings}
        ),
        progress=_progress(list(members)),
        explanations=[_member(at, each, root_path) for at, each in state.members.items()],
        links=_links(state, root_path),
    )


def path_of(batch_id: str, root_path: str) -> str:
    return f"{root_path}/v1/batches/{batch_id}"


def etag_of(state: BatchState) -> str:
    """Returns a weak ETag, since the document may be sent compressed or not."""
    versions = [(position, each.version) for position, each in state.members.items()]
    return f'W/"{hashlib.sha256(repr(versions).encode()).hexdigest()[:16]}"'


def retry_after_s(state: BatchState) -> int:
    """Returns whole seconds until the next poll is useful."""
    return max(serializers.retry_after_s(member) for member in state.members.values())


def overview(state: BatchSummary, root_path: str) -> BatchOverview:
    """Returns the item of a batch in the list; its link starts with root_path."""
    return BatchOverview(
        id=state.batch.id,
        owner=state.batch.owner,
        status=_status(state.counts.keys()),
        done=state.done,
        created_at=serializers.to_datetime(state.batch.created_at),
        size=len(state.batch.members),
        counts=dict.fromkeys(Status, 0) | state.counts,
        model=state.spec.model,
        links={"self": path_of(state.batch.id, root_path)},
    )


def _status(members: Iterable[Status]) -> BatchStatus:
    """Returns the status of a batch, from those of its explanations that are not done."""
    open_ = {status for status in members if not status.done}
    if not open_:
        return BatchStatus.DONE
    return BatchStatus.QUEUED if open_ == {Status.QUEUED} else BatchStatus.RUNNING


def _links(state: BatchState, root_path: str) -> dict[str, str]:
    """Returns the links that can be followed in the current state."""
    itself = path_of(state.batch.id, root_path)
    found = {"self": itself}
    statuses = {member.status for member in state.members.values()}
    if statuses & {Status.QUEUED, Status.RUNNING}:
        found["cancel"] = f"{itself}/cancel"
    if state.done and Status.SUCCEEDED in statuses:
        found["attributions"] = f"{itself}/attributions"
        found["heatmap"] = f"{itself}/heatmap.png"
    return found


def _common_settings(specs: Iterable[JobSpec]) -> ResolvedSettings:
    """Returns the settings of all members; true_label is null where they have different ones."""
    first, *others = (spec.settings for spec in specs)
    same = all(each.true_label == first.true_label for each in others)
    return first if same else first.model_copy(update={"true_label": None})


def _member(position: int, state: State, root_path: str) -> BatchMember:
    spec, found = state.spec, state.outcome
    top = found.top if found else None
    return BatchMember(
        position=position,
        id=state.id,
        name=spec.image.name if spec else None,
        status=state.status,
        done=state.status.done,
        cached_from=state.cached_from,
        progress=serializers.progress(state),
        true_label=spec and spec.true_label,
        correct=spec.correct(found) if spec and found else None,
        top=top and TopClass(index=top.index, label=top.label, score=top.score),
        warnings=state.outcome.warnings if state.outcome else None,
        error=failure_problem(state.error) if state.error else None,
        links=serializers.links(state, root_path),
    )


def _progress(members: Sequence[State]) -> Progress:
    """Returns the sums and the mean over the explanations, as the document describes them.

    One that has ended, however, has all its evaluations behind it. One that waits takes as many as
    the others, which have the same settings.
    """
    known = max(member.progress.planned for member in members)
    budget = next((member.spec.max_evaluations for member in members if member.spec), 0)
    planned, fractions = 0, list[float]()
    for member in members:
        done = member.progress.evaluations
        plan = done if member.status.done else member.progress.planned or known or budget
        planned += max(plan, done)
        fractions.append(1.0 if member.status.done else min(done / plan, 1.0))
    return Progress(
        evaluations=sum(member.progress.evaluations for member in members),
        planned=planned,
        fraction=sum(fractions) / len(members),
        eta_s=_largest(serializers.progress(member).eta_s for member in members),
    )


def _largest(numbers: Iterable[float | None]) -> float | None:
    return max((number for number in numbers if number is not None), default=None)
