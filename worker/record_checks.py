"""What a record must hold to be one of a server with a right clock; pure functions."""

from datetime import datetime, timedelta
from itertools import pairwise

from service.schemas.documents import Status
from service.schemas.record import Statement

CLOCKS_APART = timedelta(minutes=5)  # of machines whose clocks are taken for right
ATTRIBUTIONS, CURVES, PICTURE, LABEL_MAP = (
    *("attributions.npz", "faithfulness.json"),
    *("picture", "label_map"),
)


class CheckFailedError(Exception):
    """A check failed; the message says what is wrong."""


def check_record(statement: Statement, now: datetime) -> None:
    """Check that the parts of a record agree; now: by the clock of whoever verifies.

    Raises CheckFailedError.
    """
    record = statement.predicate
    digests = {subject.name: subject.digest["sha256"] for subject in statement.subject}
    needed = {ATTRIBUTIONS: None, PICTURE: record.picture.sha256}
    if record.label_map:
        needed[LABEL_MAP] = record.label_map.sha256
    if record.result.metrics:
        needed[CURVES] = None
    for name, sha256 in needed.items():
        if name not in digests:
            raise CheckFailedError(f"it does not list {name} among its files")
        if sha256 not in (None, digests[name]):
            raise CheckFailedError(f"it tells two digests of {name}")
    if (record.chain.sequence == 0) != (record.chain.previous is None):
        raise CheckFailedError(
            f"its place in the chain is {record.chain.sequence}, and the record before it "
            f"{record.chain.previous or 'is not named'}"
        )
    if record.status not in (Status.SUCCEEDED, Status.CANCELED):
        raise CheckFailedError(f"it is of an explanation that is {record.status.value}")
    if record.result.partial and record.status != Status.CANCELED:
        raise CheckFailedError("its result is partial, though it was not canceled")
    moments = [("it was created", record.created_at)]
    if record.finished_at:
        moments.append(("it was finished", record.finished_at))
    moments += [("it was sealed", record.sealed_at)]
    check_times(*moments, now=now)


def check_times(*moments: tuple[str, datetime], now: datetime) -> None:
    """Check that moments follow each other, and none is yet to come.

    Raises CheckFailedError.
    """
    told = [*moments, ("the clock here says", now)]
    for (what, moment), (then, later) in pairwise(told):
        if moment - later > CLOCKS_APART:
            raise CheckFailedError(
                f"{what} at {moment.isoformat()}, and {then} {later.isoformat()}: one of the "
                f"clocks is wrong"
            )
