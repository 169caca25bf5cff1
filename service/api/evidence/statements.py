"""Writes the statement of an explanation that has ended; pure functions."""

from collections.abc import Mapping

from service.api.state.serializers import to_datetime, to_datetime_or_none
from service.evidence.audit_log import digest_of, line_of
from service.evidence.envelopes import RecordError
from service.jobs.audit_log import Unsealed
from service.jobs.records import State
from service.jobs.sealing import Head
from service.schemas.audit import SEGMENT_TYPE, AuditSegment, SegmentStatement
from service.schemas.evidence import Evidence
from service.schemas.record import PREDICATE_TYPE, STATEMENT_TYPE, Chain, Record, Statement, Subject
from service.schemas.reviews import REVIEW_TYPE, Review, ReviewRequest, ReviewStatement

ATTRIBUTIONS, CURVES = "attributions.npz", "faithfulness.json"
PICTURE, LABEL_MAP, TIMESTAMP = "picture", "label_map", "record.tsr"
AUDIT = "audit"  # the subject of a segment: its entries
RECORD = "record"  # the subject of a review: the payload of the record


def statement_of(state: State, evidence: Evidence, head: Head) -> Statement:
    """Write the statement of a result, to follow the head of the chain."""
    spec, outcome = state.spec, state.outcome
    if not (spec and outcome and state.artifacts):
        raise RecordError(f"{state.id} has no result to record")
    purpose = spec.settings.metadata.get("purpose")
    return Statement(
        _type=STATEMENT_TYPE,
        subject=subjects_of(digests_of(state)),
        predicateType=PREDICATE_TYPE,
        predicate=Record(
            id=state.id,
            sealed_at=to_datetime(head.now),
            chain=Chain(sequence=head.sequence, previous=head.previous),
            owner=state.owner,
            purpose=purpose if isinstance(purpose, str) else None,
            status=state.status,
            created_at=to_datetime(state.created_at),
            started_at=to_datetime_or_none(state.started_at),
            finished_at=to_datetime_or_none(state.finished_at),
            attempts=state.attempts,
            cached_from=state.cached_from,
            reproduces=spec.reproduces,
            picture=spec.image,
            label_map=spec.label_map,
            true_label=spec.true_label,
            settings=spec.settings,
            result=outcome,
            evidence=evidence,
        ),
    )


def review_statement(
    state: State, asked: ReviewRequest, reviewer: str, key: str | None, number: int, head: Head
) -> ReviewStatement:
    """Write the statement of a review of a record, to follow the head of the chain."""
    if state.record is None:
        raise RecordError(f"{state.id} has no record to review")
    return ReviewStatement(
        _type=STATEMENT_TYPE,
        subject=subjects_of({RECORD: state.record.payload_sha256}),
        predicateType=REVIEW_TYPE,
        predicate=Review(
            id=state.id,
            number=number,
            reviewed_at=to_datetime(head.now),
            chain=Chain(sequence=head.sequence, previous=head.previous),
            verdict=asked.verdict,
            label=asked.label,
            comment=asked.comment,
            reviewer=reviewer,
            key=key,
        ),
    )


def segment_statement(found: Unsealed, head: Head) -> SegmentStatement:
    """Write the statement of entries of the audit log, to follow the head of the chain."""
    digest = digest_of(map(line_of, found.entries))
    return SegmentStatement(
        _type=STATEMENT_TYPE,
        subject=subjects_of({AUDIT: digest}),
        predicateType=SEGMENT_TYPE,
        predicate=AuditSegment(
            sealed_at=to_datetime(head.now),
            chain=Chain(sequence=head.sequence, previous=head.previous),
            first=found.entries[0].id,
            last=found.entries[-1].id,
            count=len(found.entries),
            sha256=digest,
            previous=found.previous,
        ),
    )


def digests_of(state: State) -> dict[str, str]:
    """Return the sha256 of each file that the explanation consists of, by its name in bundles."""
    spec, stored = state.spec, state.artifacts
    if not (spec and stored):
        return {}
    found = {ATTRIBUTIONS: stored.attributions.sha256, PICTURE: spec.image.sha256}
    if stored.faithfulness:
        found[CURVES] = stored.faithfulness.sha256
    if spec.label_map:
        found[LABEL_MAP] = spec.label_map.sha256
    return found


def subjects_of(digests: Mapping[str, str]) -> list[Subject]:
    return [Subject(name=name, digest={"sha256": sha256}) for name, sha256 in digests.items()]
