"""Verifies the bundle of an explanation offline: signature, files, and the values from the scores.

Nothing here needs a server, a model or the network.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.x509 import Certificate

from service.evidence.archives import ArchiveError, read_archive
from service.evidence.envelopes import RecordError, open_envelope, open_record
from service.evidence.keys import PublicKeys
from service.evidence.timestamps import TimestampError, verify_timestamp
from service.schemas.record import BundleStatement, Chain, Envelope, Statement, Subject
from service.schemas.reviews import ReviewStatement
from worker.adapters.recompute import recompute
from worker.bundle_arrays import ArraysError, read_arrays
from worker.engine.errors import EngineError
from worker.record_checks import (
    ATTRIBUTIONS,
    CLOCKS_APART,
    CheckFailedError,
    check_record,
    check_times,
)
from worker.value_checks import (
    check_curves,
    check_differences,
    check_interactions,
    check_models,
    check_sums,
    check_values,
)

RECORD, MANIFEST, KEYS = "record.json", "manifest.json", "keys.json"
REVIEWS, TIMESTAMP = "reviews/", "record.tsr"


KNOWN = CheckFailedError, ArchiveError, ArraysError, EngineError, RecordError, TimestampError


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
    def places(self) -> list[Place]:
        """The statements of the bundle that could be read."""
        if not (self.chain and self.sha256):
            return []
        return [Place(str(self.id), self.chain, self.sha256), *self.reviews]

    @property
    def valid(self) -> bool:
        return bool(self.checks) and all(check.fault is None for check in self.checks)


def verify_bundle(
    content: bytes,
    keys: PublicKeys | None = None,
    *,
    authorities: Sequence[Certificate] = (),
    now: datetime | None = None,
) -> Verification:
    """Verify a bundle by these keys; None: by those that it brings along.

    authorities: one of them must have stamped the record; none: stamps are not verified. now: None:
    by the clock of this machine.
    """
    found = Verification()
    now = now or datetime.now(UTC)  # noqa: TID251 - of whoever verifies, without a server
    with suppress(CheckFailedError):  # noted with the check
        files = _verify(content, keys, now, found)
        if authorities:
            with _checking(found, "the authority stamped the signature"):
                stamped_at = _check_timestamp(files, authorities)
            found.checks[-1] = Check(f"the authority stamped the signature at {stamped_at}")
    return found


def verify_chain(verified: Sequence[Verification], segments: Sequence[Place] = ()) -> list[Check]:
    """Check that statements which follow each other in the chain name each other.

    Of statements with others between them that are not given, only the order is known.
    """
    places = [*(place for each in verified for place in each.places), *segments]
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


def _verify(
    content: bytes, keys: PublicKeys | None, now: datetime, found: Verification
) -> Mapping[str, bytes]:
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
        check_models(arrays, record)
    if record.result.compared or any(each.of != "model" for each in record.result.outputs):
        with _checking(found, "the differences are those of the two models' scores"):
            check_differences(record)
    with _checking(found, "the values follow from the recorded scores"):
        again = recompute(record.settings, record.result, record.evidence, arrays)
        check_values(arrays, record, again)
        check_interactions(arrays, again)
    with _checking(found, "the sums of the outputs follow from the values"):
        check_sums(arrays, record)
    if record.result.metrics:
        with _checking(found, "the curves follow from the recorded scores"):
            check_curves(files, record, again)
    return files


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


def _check_timestamp(files: Mapping[str, bytes], authorities: Sequence[Certificate]) -> datetime:
    """Check the timestamp of a record whose signature is valid; files: those of its bundle."""
    if TIMESTAMP not in files:
        raise CheckFailedError(
            "it has no timestamp: no authority was asked, or none has answered yet"
        )
    envelope = Envelope.model_validate_json(files[RECORD])
    signature = base64.b64decode(envelope.signatures[0].sig)
    stamped_at = verify_timestamp(files[TIMESTAMP], signature, authorities)
    sealed_at = Statement.model_validate_json(base64.b64decode(envelope.payload)).signed_at
    if sealed_at - stamped_at > CLOCKS_APART:
        raise CheckFailedError(f"it was stamped at {stamped_at}, and sealed later, at {sealed_at}")
    return stamped_at


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
