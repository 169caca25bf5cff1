"""Compares statements with the chain that a server listed, so that none can have been left out."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from service.schemas.chain import ChainItem
from worker.verification import Check, Place, Verification

_LIST = TypeAdapter(list[ChainItem])


class ChainListError(Exception):
    """A file does not have the chain that a server listed; the message says why."""


def read_chain(path: Path) -> list[ChainItem]:
    """Read what `shapshot records --json` printed. Raises ChainListError."""
    try:
        return _LIST.validate_json(path.read_bytes())
    except OSError as error:
        raise ChainListError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ChainListError(
            f"{path} is not what `shapshot records --json` prints: {place}: {first['msg']}"
        ) from error


def verify_listed(
    listed: list[ChainItem], verified: Iterable[Verification], segments: Sequence[Place] = ()
) -> list[Check]:
    """Check that the list has no gap, and records, reviews and segments at their places.

    segments: of an audit log, which must have those of the list from its first one on.
    """
    checks = []
    numbers = [item.sequence for item in listed]
    first, last = (numbers[0], numbers[-1]) if numbers else (0, -1)
    gap = next((n for n, number in enumerate(numbers, first) if number != n), None)
    what = f"the list has {len(listed)} statements, from place {first} on, without a gap"
    checks.append(Check(what, None if gap is None else f"place {gap} is missing"))
    by_place = {item.sequence: item for item in listed}
    seen = set()
    for place in (*(place for each in verified for place in each.places), *segments):
        sequence, item = place.chain.sequence, by_place.get(place.chain.sequence)
        if item is None:
            side = "before its beginning" if sequence < first else "in its gap"
            side = "after its end" if sequence > last else side
            fault: str | None = f"the list does not have place {sequence}, which is {side}"
        else:
            seen.add(sequence)
            fault = None if item.sha256 == place.sha256 else f"the list has {item.sha256} there"
            before = by_place.get(sequence - 1)
            if fault is None and before and before.sha256 != place.chain.previous:
                fault = f"it names another statement before it than the list, {before.id}"
        checks.append(Check(f"{place.name} is at place {sequence} of the list", fault))
    records = [item for item in listed if item.kind == "record"]
    there = sum(item.sequence in seen for item in records)
    checks.append(Check(f"{there} of the {len(records)} records of the list are here"))
    if segments:
        start = min(segment.chain.sequence for segment in segments)
        signed = [n.sequence for n in listed if n.kind == "audit" and n.sequence >= start]
        missing = next((number for number in signed if number not in seen), None)
        what = f"the log has the {len(signed)} segments of the list from place {start} on"
        fault = None if missing is None else f"that of place {missing} is missing"
        checks.append(Check(what, fault))
    return checks
