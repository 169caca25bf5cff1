"""What takes several requests, without I/O; both clients perform the steps.

Each generator yields a step, receives its result, and returns what the method returns. A step that
the server refused is thrown in as its ShapshotError.
"""

import re
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from service.client import calls
from service.client.attributions import BatchAttributions, merged
from service.client.batches import BatchGroup, fits
from service.client.calls import Call, LabelMap, Settings
from service.client.errors import IncompleteBatchError, ShapshotError, whole
from service.client.pictures import Address, File, Picture, several
from service.schemas.documents import Batch, Explanation, Status

T = TypeVar("T")
Bound = TypeVar("Bound", bound=Explanation)
Done = TypeVar("Done", bound=Explanation | Batch)
OnProgress = Callable[[Any], object]  # takes the document; its result is not used


@dataclass(frozen=True)
class Read:
    """A step that reads a picture; its result is a File, or an Address."""

    picture: Picture


Steps = Generator[Call[Any] | Read, Any, T]


def submit(
    picture: Picture,
    settings: Settings | None,
    label_map: LabelMap | None,
    anew: bool,
    idempotency_key: str | None,
) -> Steps[Explanation]:
    file: File | Address = yield Read(picture)
    found: Explanation = yield calls.create(file, settings, label_map, anew, idempotency_key)
    return found


def submit_batch(
    pictures: Iterable[Picture],
    settings: Settings | None,
    label_map: LabelMap | None,
    anew: bool,
    idempotency_key: str | None,
) -> Steps[Batch]:
    files: list[File | Address] = []
    for picture in several(pictures):
        files.append((yield Read(picture)))
    try:
        batch: Batch = yield calls.create_batch(files, settings, label_map, anew, idempotency_key)
    except ShapshotError as error:
        _name_picture(error, files, 0)
        raise
    return batch


def submit_all(
    pictures: Iterable[Picture],
    settings: Settings | None,
    label_map: LabelMap | None,
    anew: bool,
    idempotency_key: str | None,
    timeout_s: float,
) -> Steps[BatchGroup]:
    """Send as many pictures at a time as the server accepts; halve what is too large for it.

    The key of each batch is `idempotency_key` and the positions of its first and last picture.
    """
    deadline = time.monotonic() + timeout_s
    batches: list[Batch] = []

    def send(files: list[File | Address]) -> Steps[None]:
        first = sum(batch.size for batch in batches)
        last = first + len(files) - 1
        key = f"{idempotency_key}:{first}-{last}" if idempotency_key else None
        call = calls.create_batch(files, settings, label_map, anew, key)
        try:
            batches.append((yield replace(call, retry_s=deadline - time.monotonic())))
        except ShapshotError as error:
            if error.problem.status == 413 and len(files) > 1:
                half = len(files) // 2
                yield from send(files[:half])
                yield from send(files[half:])
                return
            _name_picture(error, files, first)
            if batches:
                ids = ", ".join(batch.id for batch in batches)
                error.add_note(f"the pictures before position {first} are explained in {ids}")
            raise

    files: list[File | Address] = []
    for picture in several(pictures):
        file: File | Address = yield Read(picture)
        if not fits(files, file):
            yield from send(files)
            files = []
        files.append(file)
    if files:
        yield from send(files)
    return BatchGroup(batches)


def wait(
    explanation_id: str,
    timeout_s: float,
    on_progress: OnProgress | None,
    bind: Callable[[Explanation], Bound],
) -> Steps[Bound]:
    read = partial(calls.read, explanation_id)
    explanation = yield from _wait(read, time.monotonic(), timeout_s, on_progress, bind)
    whole(explanation)
    return explanation


def wait_batch(batch_id: str, timeout_s: float, on_progress: OnProgress | None) -> Steps[Batch]:
    read = partial(calls.read_batch, batch_id)
    return (yield from _wait(read, time.monotonic(), timeout_s, on_progress, _unbound))


def wait_all(
    group: BatchGroup, timeout_s: float, on_progress: OnProgress | None
) -> Steps[BatchGroup]:
    began, batches = time.monotonic(), list(group.batches)
    for position, batch in enumerate(batches):

        def report(changed: Batch, position: int = position) -> None:
            batches[position] = changed
            if on_progress:
                on_progress(BatchGroup(list(batches)))

        told = report if on_progress else None
        read = partial(calls.read_batch, batch.id)
        batches[position] = yield from _wait(read, began, timeout_s, told, _unbound)
    return BatchGroup(batches)


def explain_all(
    pictures: Iterable[Picture],
    settings: Settings | None,
    label_map: LabelMap | None,
    anew: bool,
    idempotency_key: str | None,
    timeout_s: float,
    on_progress: OnProgress | None,
) -> Steps[BatchGroup]:
    group = yield from submit_all(pictures, settings, label_map, anew, idempotency_key, timeout_s)
    group = yield from wait_all(group, timeout_s, on_progress)
    if group.incomplete:
        raise IncompleteBatchError(group)
    return group


def batch_attributions(batch: str | Batch | BatchGroup) -> Steps[BatchAttributions]:
    """Stack the arrays of a group's batches, but for those without a result."""
    if isinstance(batch, str | Batch):
        batch_id = batch if isinstance(batch, str) else batch.id
        only: BatchAttributions = yield calls.batch_attributions(batch_id)
        return only
    parts: dict[int, BatchAttributions] = {}
    for start, each in zip(batch.starts, batch.batches, strict=True):
        if not each.done or each.counts.get(Status.SUCCEEDED):
            parts[start] = yield calls.batch_attributions(each.id)
    return merged(parts)


def _name_picture(error: ShapshotError, files: Sequence[File | Address], first: int) -> None:
    """Note which picture of a batch was refused, where the server tells; first: its position."""
    if found := re.fullmatch(r"image(?:_url)?s\.(\d+)", error.problem.field or ""):
        index = int(found[1])
        file = files[index]
        name = file.url if isinstance(file, Address) else file[0]
        error.add_note(f"the picture at position {first + index}, {name}")


def _unbound(batch: Batch) -> Batch:
    """Return the batch: it has no methods that fetch."""
    return batch


def _wait(
    read: Callable[[float], Call[Any]],
    began: float,
    timeout_s: float,
    on_progress: OnProgress | None,
    bind: Callable[[Any], Done],
) -> Steps[Done]:
    """Read a document until it is done. Raises TimeoutError."""
    while True:
        left_s = began + timeout_s - time.monotonic()
        document = bind((yield read(calls.next_wait_s(left_s, on_progress))))
        if on_progress:
            on_progress(document)
        if document.done:
            return document
        if time.monotonic() > began + timeout_s:
            raise TimeoutError(
                f"{document.id} is {document.status} after {timeout_s:g} s and goes on; "
                "wait again with its id"
            )
