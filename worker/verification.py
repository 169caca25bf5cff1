"""Verifies the bundle of an explanation offline: signature, files, and the values from the scores.

Nothing here needs a server, a model or the network.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.evidence.archives import ArchiveError, read_archive
from service.evidence.envelopes import RecordError, open_envelope, open_record
from service.evidence.keys import PublicKeys
from service.infra.packed_arrays import unpack
from service.schemas.fingerprint import COMPARED_ENTRIES, MODEL_ENTRIES
from service.schemas.record import BundleStatement, Chain, Record, Subject
from service.schemas.results import Faithfulness
from service.schemas.reviews import ReviewStatement
from worker.adapters.recompute import Recomputed, recompute
from worker.bundle_arrays import ArraysError, read_arrays
from worker.engine.errors import EngineError
from worker.record_checks import (
    ATTRIBUTIONS,
    CURVES,
    ContradictionError,
    check_record,
    check_times,
)

RECORD, MANIFEST, KEYS = "record.json", "manifest.json", "keys.json"
REVIEWS = "reviews/"


class CheckFailedError(Exception):
    """A check failed; the message says what is wrong."""


KNOWN = CheckFailedError, ArchiveError, ArraysError, ContradictionError, EngineError, RecordError


@dataclass(frozen=True)
class Check:
    """One thing that was checked, and what is wrong with it; None: nothing."""

    what: str
    fault: str | None = None


@dataclass(frozen=True)
class Place:
    """The place of a signed statement in the chain; sha256: of its payload."""

    name: str
    chain: Chain
    sha256: str


@dataclass
class Verification:
    """What was checked of a bundle, in order; a failed check that others need ends it.

    id, chain, sha256: of its record, where that could be read; sha256 is of the payload.
    """

    checks: list[Check] = field(default_factory=list)
    id: str | None = None
    chain: Chain | None = None
    sha256: str | None = None
    key_id: str | None = None
    reviews: list[Place] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        return bool(self.checks) and all(check.fault is None for check in self.checks)


def verify_bundle(
    content: bytes, keys: PublicKeys | None = None, *, now: datetime | None = None
) -> Verification:
    """Verify a bundle by these keys; None: by those that it brings along.

    now: None: by the clock of this machine.
    """
    found = Verification()
    now = now or datetime.now(UTC)  # noqa: TID251 - of whoever verifies, without a server
    with suppress(CheckFailedError):  # noted with the check
        _verify(content, keys, now, found)
    return found


def verify_chain(verified: Sequence[Verification]) -> list[Check]:
    """Check that records and reviews which follow each other in the chain name each other.

    Of statements with others between them that are not given, only the order is known.
    """
    places = [
        place
        for each in verified
        if each.chain and each.sha256
        for place in (Place(str(each.id), each.chain, each.sha256), *each.reviews)
    ]
    by_place: dict[int, Place] = {}
    checks = []
    for each in places:
        other = by_place.setdefault(each.chain.sequence, each)
        if other.sha256 != each.sha256:
            what = f"place {each.chain.sequence} of the chain"
            checks.append(Check(what, f"{other.name} and {each.name} both claim it"))
    for number, each in sorted(by_place.items()):
        before = by_place.get(number - 1)
        if before:
            fault = None
            if each.chain.previous != before.sha256:
                fault = f"{each.name} does not name {before.name} as the one before it"
            checks.append(Check(f"records {number - 1} and {number} follow each other", fault))
    return checks


def _verify(content: bytes, keys: PublicKeys | None, now: datetime, found: Verification) -> None:
    with _checking(found, "the archive has the form in which it was made"):
        files = read_archive(content)
        if missing := {RECORD, MANIFEST, KEYS, ATTRIBUTIONS} - set(files):
            raise CheckFailedError(f"it has no {', '.join(sorted(missing))}")
    with _checking(found, "keys are known" if keys else "keys are in the bundle"):
        known = keys or PublicKeys.model_validate_json(files[KEYS])
    with _checking(found, "the record is signed"):
        opened = open_record(files[RECORD], known)
    record = opened.statement.predicate
    found.id, found.chain = record.id, record.chain
    found.sha256, found.key_id = opened.sha256, opened.key_id
    with _checking(found, "the record does not contradict itself"):
        check_record(opened.statement, now)
    with _checking(found, "the manifest is signed"):
        manifest = open_envelope(files[MANIFEST], known, BundleStatement).statement
        if manifest.predicate.id != record.id:
            raise CheckFailedError(
                f"it is of {manifest.predicate.id}; the record is of {record.id}"
            )
        made_at = manifest.predicate.made_at
        check_times(("the record was sealed", record.sealed_at), ("it was made", made_at), now=now)
    _check_files(found, files, opened.statement.subject, manifest.subject)
    _check_reviews(found, files, known)
    with _checking(found, "the arrays can be read"):
        arrays = read_arrays(files[ATTRIBUTIONS], record)
    with _checking(found, "the arrays name the model of the record"):
        _check_models(arrays, record)
    if record.result.compared:
        with _checking(found, "the differences are those of the two models' scores"):
            _check_differences(record)
    with _checking(found, "the values follow from the recorded scores"):
        again = recompute(record.settings, record.result, record.evidence, arrays)
        _check_values(arrays, record, again)
    with _checking(found, "the sums of the outputs follow from the values"):
        _check_sums(arrays, record)
    if record.result.metrics:
        with _checking(found, "the curves follow from the recorded scores"):
            _check_curves(files, record, again)


def _check_files(
    found: Verification,
    files: Mapping[str, bytes],
    recorded: Sequence[Subject],
    listed: Sequence[Subject],
) -> None:
    """Check that each file has the digests of record and manifest, and none is missing or added."""
    digests: dict[str, set[str]] = {}
    for subject in (*recorded, *listed):
        digests.setdefault(subject.name, set()).add(subject.digest["sha256"])
    for name in sorted({*digests, *files} - {MANIFEST}):
        with _checking(found, f"{name} is the file that was signed"):
            if name not in files:
                raise CheckFailedError("it is missing")
            if name not in digests:
                raise CheckFailedError("neither record nor manifest lists it")
            if digests[name] != {sha256(files[name]).hexdigest()}:
                raise CheckFailedError("it was changed after it was signed")


def _check_reviews(found: Verification, files: Mapping[str, bytes], keys: PublicKeys) -> None:
    """Check that the reviews are signed, and are the first ones of this record."""
    names = sorted(name for name in files if name.startswith(REVIEWS))
    place = found.chain.sequence if found.chain else 0
    for number, name in enumerate(names, 1):
        with _checking(found, f"{name} is a signed review of the record"):
            opened = open_envelope(files[name], keys, ReviewStatement)
            said = opened.statement.predicate
            subjects = [each.digest["sha256"] for each in opened.statement.subject]
            if subjects != [found.sha256] or said.id != found.id:
                raise CheckFailedError(f"it is of another record, of {said.id}")
            if said.number != number or name != f"{REVIEWS}{number:04}.dsse.json":
                raise CheckFailedError(f"it is review {said.number}; number {number} is missing")
            if said.chain.sequence <= place:
                raise CheckFailedError(
                    f"its place in the chain is {said.chain.sequence}, too early"
                )
            place = said.chain.sequence
            found.reviews.append(Place(f"review {number} of {found.id}", said.chain, opened.sha256))


def _check_models(arrays: Mapping[str, NDArray[Any]], record: Record) -> None:
    compared = record.result.compared.model if record.result.compared else None
    for entries, model in ((MODEL_ENTRIES, record.result.model), (COMPARED_ENTRIES, compared)):
        if model is None:
            if set(entries) & set(arrays):
                raise CheckFailedError("they name a compared model; the record names none")
            continue
        if missing := set(entries) - set(arrays):
            raise CheckFailedError(f"they have no {', '.join(sorted(missing))}")
        name, fingerprint, parts = (str(arrays[entry]) for entry in entries)
        told = (name, fingerprint, json.loads(parts or "null"))
        kept = (model.name, model.fingerprint, model.parts and model.parts.model_dump(mode="json"))
        if told != kept:
            raise CheckFailedError(
                f"they name {told[0]} {told[1]}; the record names {kept[0]} {kept[1]}"
            )


def _check_differences(record: Record) -> None:
    """Check that each third score of a comparison is the first minus the second."""
    outputs = record.result.outputs
    ends = [[each.base_value for each in outputs], [each.score for each in outputs]]
    of_curves = record.evidence.curves
    for packed in (record.evidence.transcript.scores, of_curves and of_curves.scores):
        scores = np.concatenate([np.array(ends), unpack(packed)]) if packed else np.array(ends)
        one, other, difference = (scores[:, side::3] for side in range(3))
        if not np.array_equal(difference, one - other):
            raise CheckFailedError("a recorded difference is not that of the two scores")


def _check_values(arrays: Mapping[str, NDArray[Any]], record: Record, again: Recomputed) -> None:
    _same("values", arrays["values"], again.values)
    if (again.standard_errors is None) != ("standard_errors" not in arrays):
        raise CheckFailedError("the arrays have standard errors, or lack them, unlike the method")
    if again.standard_errors is not None:
        _same("standard errors", arrays["standard_errors"], again.standard_errors)
    regions = record.evidence.regions
    if regions and again.region_values is not None:
        _same("region values of the record", unpack(regions.values), again.region_values)
        _same("region values of the arrays", arrays["region_values"], again.region_values)
        for name, kept in (
            ("region_standard_errors", regions.standard_errors),
            ("region_low", regions.low),
            ("region_high", regions.high),
        ):
            if kept is not None and name not in arrays:
                raise CheckFailedError(f"the arrays have no {name}")
            if kept is not None:
                _same(name.replace("_", " "), arrays[name], unpack(kept))


def _check_sums(arrays: Mapping[str, NDArray[Any]], record: Record) -> None:
    for k, output in enumerate(record.result.outputs):
        total = float(arrays["values"][..., k].sum(dtype=np.float64))
        scale = max(1.0, float(np.abs(arrays["values"][..., k]).sum(dtype=np.float64)))
        if abs(total - output.attribution_sum) > 1e-9 * scale:
            raise CheckFailedError(
                f"the values of output {output.index} add up to {total!r}; the record says "
                f"{output.attribution_sum!r}"
            )
        gap = output.score - output.base_value - output.attribution_sum
        if abs(gap - output.efficiency_gap) > 1e-9 * max(1.0, abs(output.score)):
            raise CheckFailedError(
                f"the gap of output {output.index} is {gap!r}, not what the record says"
            )


def _check_curves(files: Mapping[str, bytes], record: Record, again: Recomputed) -> None:
    kept = Faithfulness.model_validate_json(files[CURVES]).curves
    if len(kept) != len(again.curves):
        raise CheckFailedError(f"there are {len(kept)}; the scores lead to {len(again.curves)}")
    for curve, area, redone in zip(kept, record.result.metrics, again.curves, strict=True):
        lines = (curve.x, curve.y, curve.baseline)
        if lines != (redone.x.tolist(), redone.y.tolist(), redone.baseline.tolist()):
            raise CheckFailedError(f"{curve.metric} of output {curve.output} is another curve")
        if (area.area, area.baseline_area) != (redone.area, redone.baseline_area):
            raise CheckFailedError(f"{curve.metric} of output {curve.output} has another area")


def _same(what: str, stored: NDArray[Any], found: NDArray[Any]) -> None:
    if stored.shape != found.shape or stored.dtype != found.dtype:
        raise CheckFailedError(
            f"the {what} are {stored.dtype} of shape {stored.shape}; the scores lead to "
            f"{found.dtype} of shape {found.shape}"
        )
    if stored.tobytes("F") != found.tobytes("F"):
        apart = float(np.abs(stored.astype(np.float64) - found).max())
        raise CheckFailedError(
            f"the {what} are not those that the scores lead to; they differ by up to {apart:.3g}"
        )


@contextmanager
def _checking(found: Verification, what: str) -> Iterator[None]:
    """Note a check; one that fails ends the verification."""
    try:
        yield
    except KNOWN as error:
        found.checks.append(Check(what, str(error)))
        raise CheckFailedError from error
    except (ValueError, RecursionError, MemoryError) as error:  # ValidationError is a ValueError
        found.checks.append(Check(what, f"it cannot be read: {error}"))
        raise CheckFailedError from error
    found.checks.append(Check(what))
