"""Stores the uploads and results of explanations in a folder, in memory or on S3.

Content is written whole and once (a new attempt writes under a new key), so a reader never sees a
partial file, and a worker that lost its lease cannot overwrite a result.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import obstore
import structlog
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from service.infra.artifact_errors import (
    DamagedArtifactError,
    MissingArtifactError,
    NoSuchPartError,
    StoreError,
    StoreRefusedError,
    mask_credentials,
    translate_errors,
)
from service.infra.deadlines import DeadlineThreads, StoreDeadlines
from service.infra.retry import retry
from service.infra.settings.environment import read_settings
from service.infra.settings.shared import S3Settings

MAX_CONCURRENT_CALLS = 16  # per process
CHUNK = 4 * 2**20  # bytes per read or write request
MIN_BYTES_PER_S = 2**20  # bytes per second: slowest accepted transfer of large content
MARKER_KEY = "identity.json"  # name of the store's set; written once, by store_identity.py


__all__ = [  # re-exports the errors for callers of the store
    "CHUNK",
    "MARKER_KEY",
    "MAX_CONCURRENT_CALLS",
    "DamagedArtifactError",
    "MissingArtifactError",
    "Store",
    "StoreEntry",
    "StoreError",
    "StoreRefusedError",
    "attributions_key",
    "evidence_key",
    "faithfulness_key",
    "image_key",
    "label_map_key",
    "open_store",
    "record_key",
    "review_key",
    "timestamp_key",
]

T = TypeVar("T")

log = structlog.get_logger(__name__)


def image_key(explanation_id: str) -> str:
    return f"explanations/{explanation_id}/image"


def label_map_key(explanation_id: str) -> str:
    return f"explanations/{explanation_id}/label_map"


def attributions_key(explanation_id: str, attempt: str) -> str:
    return f"explanations/{explanation_id}/{attempt}/attributions.npz"


def faithfulness_key(explanation_id: str, attempt: str) -> str:
    return f"explanations/{explanation_id}/{attempt}/faithfulness.json"


def evidence_key(explanation_id: str, attempt: str) -> str:
    return f"explanations/{explanation_id}/{attempt}/evidence.json"


def record_key(explanation_id: str, sha256: str) -> str:
    """Return the key of a sealed record; sha256: of the envelope."""
    return f"explanations/{explanation_id}/record/{sha256}.json"


def timestamp_key(explanation_id: str, sha256: str) -> str:
    """Return the key of the timestamp of a record; sha256: of its response."""
    return f"explanations/{explanation_id}/record/{sha256}.tsr"


def review_key(explanation_id: str, sha256: str) -> str:
    """Return the key of a sealed review; sha256: of the envelope."""
    return f"explanations/{explanation_id}/reviews/{sha256}.json"


def open_store(url: str, deadlines: StoreDeadlines = StoreDeadlines()) -> "Store":  # noqa: B008 - frozen
    """Open `file:FOLDER` (created if absent; relative to the working folder), `memory:` or
    `s3://BUCKET/PREFIX`.

    For S3, endpoint, region and credentials come from the environment variables AWS_…. Raises
    ValueError for another scheme, StoreError for a folder that cannot be created or an invalid
    bucket name.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return Store(MemoryStore(), deadlines)
    if scheme == "s3":
        s3 = read_settings(S3Settings)
        where = f"{url} at {mask_credentials(s3.endpoint_url or 'Amazon')}"
        with translate_errors(url, where):
            bucket = from_url(
                url,
                client_options={  # override the environment
                    "allow_http": s3.allow_http,
                    "connect_timeout": timedelta(seconds=deadlines.connect_s),
                    "read_timeout": timedelta(seconds=deadlines.read_s),
                    "timeout": timedelta(seconds=deadlines.total_s),
                },
                # Store retries, for every kind of store
                retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
            )
            return Store(bucket, deadlines, where=where)
    if scheme == "file":
        folder = Path(url.removeprefix("file:").removeprefix("//")).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(
                f"cannot create the store folder {folder}: {error.strerror}"
            ) from error
        objects = LocalStore(folder.resolve(), automatic_cleanup=True)
        return Store(objects, deadlines, where=str(folder))
    raise ValueError(
        f"store_url must be file:FOLDER, memory: or s3://BUCKET/PREFIX; received {url!r}"
    )


@dataclass(frozen=True)
class StoreEntry:
    """The key and age of a stored object."""

    key: str
    modified_at: datetime  # by the store's clock


class Store:
    """Bytes by key. Blocking: the API calls it in a thread.

    Every call ends by its deadline, including retries; the deadline grows by one second per MiB of
    known size. Calls of the store are retried here only.
    """

    def __init__(
        self, objects: ObjectStore, deadlines: StoreDeadlines, *, where: str = "memory"
    ) -> None:
        """where: location of the store, for the log."""
        self._objects = objects
        self._deadlines = deadlines
        self._threads = DeadlineThreads(MAX_CONCURRENT_CALLS)
        self._where = where

    @property
    def private(self) -> bool:
        """Return whether only this process can see the content."""
        return isinstance(self._objects, MemoryStore)

    def put(self, key: str, content: bytes) -> None:
        """Write the whole content; readers see all of it or none. Raises StoreError."""
        in_parts = len(content) > CHUNK and not isinstance(self._objects, LocalStore | MemoryStore)

        def write() -> None:
            obstore.put(self._objects, key, content, use_multipart=in_parts, max_concurrency=4)

        self._call(key, write, size=len(content))

    def get(self, key: str, *, size: int = 0) -> bytes:
        """Read all of it. Raises MissingArtifactError, StoreError. size: in bytes, if known."""
        return self._call(key, partial(self._get, key), size=size)

    def get_soon(self, key: str) -> bytes:
        """Read a small object without retries, within the connection timeout."""
        with translate_errors(key, self._where):
            return self._threads.run(partial(self._get, key), within_s=self._deadlines.connect_s)

    def _get(self, key: str) -> bytes:
        return bytes(obstore.get(self._objects, key).bytes())

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read ranges, each (offset, length). Raises MissingArtifactError, StoreError.

        Raises DamagedArtifactError if the content is shorter than a range.
        """
        starts, lengths = [start for start, _ in ranges], [length for _, length in ranges]

        def read() -> list[bytes]:
            parts = obstore.get_ranges(self._objects, key, starts=starts, lengths=lengths)
            return [bytes(part) for part in parts]

        try:
            found = self._call(key, read, size=sum(lengths))
        except MissingArtifactError:
            raise
        except NoSuchPartError:
            self._check_reach(key, ranges)
            raise
        if [len(part) for part in found] != lengths:
            self._check_reach(key, ranges)
        return found

    def _check_reach(self, key: str, ranges: Sequence[tuple[int, int]]) -> None:
        needed, size = max(sum(each) for each in ranges), self.size(key)
        if size < needed:
            raise DamagedArtifactError(f"{key!r} has {size} bytes; expected at least {needed}")

    def chunks(self, key: str) -> Iterator[bytes]:
        """Read it in parts of CHUNK bytes, each by a separate call.

        Raises MissingArtifactError, StoreError; DamagedArtifactError if it gets shorter meanwhile.
        """
        size = self.size(key)
        for start in range(0, size, CHUNK):
            yield from self.get_ranges(key, [(start, min(CHUNK, size - start))])

    def size(self, key: str) -> int:
        """Return the size in bytes. Raises MissingArtifactError, StoreError."""
        return self._call(key, lambda: obstore.head(self._objects, key)["size"])

    def copy(self, key: str, to: str) -> None:
        """Copy the content to another key.

        Raises MissingArtifactError, StoreError.
        """
        self._call(key, lambda: obstore.copy(self._objects, key, to))

    def delete_explanation(self, explanation_id: str) -> None:
        """Delete all artifacts of an explanation, if any."""
        for page in self.pages(f"explanations/{explanation_id}"):
            for entry in page:
                self.delete(entry.key)

    def delete(self, key: str) -> None:
        """Delete a key, if it exists: another sweeper may have been faster."""
        with suppress(MissingArtifactError):
            self._call(key, lambda: obstore.delete(self._objects, key))

    def pages(self, prefix: str) -> Iterator[list[StoreEntry]]:
        """List the entries below a prefix, up to 1000 per page; each page is a separate call."""
        stream = iter(
            self._call(prefix, lambda: obstore.list(self._objects, prefix, chunk_size=1000))
        )
        while page := self._call(prefix, lambda: next(stream, None), tries=1):
            yield [StoreEntry(meta["path"], meta["last_modified"]) for meta in page]

    def check(self) -> None:
        """Write and remove a probe, within the connection timeout. Raises StoreError."""
        within_s = self._deadlines.connect_s
        with translate_errors("probe", self._where):
            self._threads.run(self._probe, within_s=within_s)

    def _probe(self) -> None:
        obstore.put(self._objects, "probe", b"ok", use_multipart=False)
        with suppress(FileNotFoundError):  # another process was faster
            obstore.delete(self._objects, "probe")

    def _call(self, key: str, action: Callable[[], T], *, size: int = 0, tries: int = 0) -> T:
        until = time.monotonic() + self._deadlines.total_s + size / MIN_BYTES_PER_S

        def once() -> T:
            with translate_errors(key, self._where):
                return self._threads.run(action, within_s=until - time.monotonic())

        def log_failure(error: Exception) -> None:
            cause = error.cause if isinstance(error, StoreError) else str(error)
            log.warning("store call failed; retrying", cause=cause)

        return retry(
            once,
            passes=_passes,
            pauses=[0.2 * 2**n for n in range((tries or self._deadlines.tries) - 1)],
            until=until,
            failed=log_failure,
        )


def _passes(error: Exception) -> bool:
    lasting = isinstance(error, MissingArtifactError | StoreRefusedError)
    return isinstance(error, StoreError) and not lasting
