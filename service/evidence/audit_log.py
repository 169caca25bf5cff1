"""Checks an exported audit log against its signed segments."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785

from service.evidence.envelopes import RecordError, open_envelope
from service.evidence.keys import PublicKeys
from service.schemas.audit import AuditEntry, AuditSegment, SegmentStatement, place_of


@dataclass(frozen=True)
class Finding:
    """One thing that was checked, and what is wrong with it; None: nothing."""

    what: str
    fault: str | None = None


@dataclass(frozen=True)
class VerifiedLog:
    """What was checked of a log, and its signed segments, each with the sha256 of its payload."""

    findings: list[Finding]
    segments: list[tuple[AuditSegment, str]]


def line_of(entry: AuditEntry) -> bytes:
    """Return the entry as it is exported and signed: canonical JSON and a line feed."""
    return rfc8785.dumps(entry.model_dump(mode="json")) + b"\n"


def digest_of(lines: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(lines)).hexdigest()


def verify_log(lines: Sequence[bytes], keys: PublicKeys) -> VerifiedLog:
    """Check lines of an export, of entries and of segments in any order, by these keys."""
    entries: dict[tuple[int, int], bytes] = {}
    envelopes, findings = [], []
    for number, line in enumerate(lines, 1):
        try:
            document: Mapping[str, Any] = json.loads(line)
            if "payloadType" in document:
                envelopes.append(line)
                continue
            place = place_of(document["id"])
            if place in entries:
                raise ValueError("its id is there twice")
            entries[place] = rfc8785.dumps(dict(document)) + b"\n"
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            findings.append(Finding(f"line {number}", f"it is no entry and no segment: {error}"))
    segments = []
    for envelope in envelopes:
        try:
            opened = open_envelope(envelope, keys, SegmentStatement)
            segments.append((opened.statement.predicate, opened.sha256))
        except RecordError as error:
            findings.append(Finding("a segment is signed", str(error)))
    segments.sort(key=lambda each: each[0].chain.sequence)
    findings += _against(segments, dict(sorted(entries.items())))
    return VerifiedLog(findings, segments)


def _against(
    segments: Sequence[tuple[AuditSegment, str]], entries: Mapping[tuple[int, int], bytes]
) -> list[Finding]:
    """Check each segment that is not older than the first entry, and that none is missing."""
    findings, covered, before = list[Finding](), 0, None
    start = next(iter(entries), None)
    for segment, sha256 in segments:
        first, last = place_of(segment.first), place_of(segment.last)
        if before is not None and segment.previous != before:
            what = f"the segment up to {segment.last}"
            findings.append(Finding(what, "the segment before it is missing, or another one"))
        before = sha256
        if start is None or last < start:
            continue  # of entries that were kept no longer
        found = [line for place, line in entries.items() if first <= place <= last]
        covered += len(found)
        fault = None
        if len(found) != segment.count:
            fault = f"it has {segment.count} entries; {len(found)} of them are there"
        elif digest_of(found) != segment.sha256:
            fault = "an entry of it was changed"
        findings.append(Finding(f"entries {segment.first} to {segment.last}", fault))
    if not segments:
        findings.append(Finding("signed segments", "there are none, so nothing can be checked"))
        return findings
    after = place_of(segments[-1][0].last)
    unsigned = sum(place > after for place in entries)
    if extra := len(entries) - covered - unsigned:
        findings.append(Finding(f"{extra} entries", "no segment lists them"))
    findings.append(Finding(f"{unsigned} entries since the last segment are not signed yet"))
    return findings
