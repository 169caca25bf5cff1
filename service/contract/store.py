"""Artefacts by explanation: what was sent and what was found; in a folder, in memory or on S3.

Content is written whole and once (a new attempt writes under a new name), so a reader never sees
half a file and a worker that lost its lease cannot overwrite what stands.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

CHUNK = 2**20  # bytes
MARKER_KEY = "identity.json"  # which set the store belongs to; written once, by identity.py


class StoreError(Exception):
    """The store cannot do what was asked: unreachable, full, or refusing."""


class MissingArtefact(StoreError):  # noqa: N818 - a fact, not a fault
    """Nothing is stored under that name."""


class DamagedArtefact(MissingArtefact):
    """What is stored under that name is not what was written: as good as nothing."""


def image_key(explanation_id: str) -> str:
    return f"explanations/{explanation_id}/image"


def label_map_key(explanation_id: str) -> str:
    return f"explanations/{explanation_id}/label_map"


def attributions_key(explanation_id: str, attempt: str) -> str:
    return f"explanations/{explanation_id}/{attempt}/attributions.npz"


def faithfulness_key(explanation_id: str, attempt: str) -> str:
    return f"explanations/{explanation_id}/{attempt}/faithfulness.json"


def open_store(url: str) -> "Store":
    """`file:FOLDER` (made when absent; relative to the working folder), `memory:`, or `s3://BUCKET/PREFIX`.

    Raises ValueError for another scheme, StoreError for a folder that cannot be made or a bucket
    that cannot be named so.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return Store(MemoryStore())
    if scheme == "s3":
        with _translated(url):
            return Store(from_url(url))
    if scheme == "file":
        return Store(_local(Path(url.removeprefix("file:").removeprefix("//")).expanduser()))
    raise ValueError(
        f"store_url must be file:FOLDER, memory: or s3://BUCKET/PREFIX; received {url!r}"
    )


def _local(folder: Path) -> ObjectStore:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"the store folder {folder} cannot be made: {error.strerror}") from error
    return LocalStore(folder.resolve(), automatic_cleanup=True)


class Store:
    """Bytes by key. Blocking: the API calls it in a thread."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def put(self, key: str, content: bytes) -> None:
        """Write the whole content; readers see all of it or none. Raises StoreError."""
        with _translated(key):
            obstore.put(self._objects, key, content, use_multipart=False)

    def get(self, key: str) -> bytes:
        """Read it whole. Raises MissingArtefact, StoreError."""
        with _translated(key):
            return obstore.get(self._objects, key).bytes().to_bytes()

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read parts of it, each (offset, length). Raises MissingArtefact, StoreError.

        Raises DamagedArtefact where it ends before one of them does.
        """
        starts, lengths = [start for start, _ in ranges], [length for _, length in ranges]
        try:
            with _translated(key):
                parts = obstore.get_ranges(self._objects, key, starts=starts, lengths=lengths)
                found = [bytes(part) for part in parts]
        except MissingArtefact:
            raise
        except StoreError:
            self._check_reach(key, ranges)
            raise
        if [len(part) for part in found] != lengths:
            self._check_reach(key, ranges)
        return found

    def _check_reach(self, key: str, ranges: Sequence[tuple[int, int]]) -> None:
        needed, size = max(sum(each) for each in ranges), self.size(key)
        if size < needed:
            raise DamagedArtefact(f"{key!r} has {size} bytes; at least {needed} were written")

    def chunks(self, key: str) -> Iterator[bytes]:
        """Read it in parts of about CHUNK bytes. Raises MissingArtefact, StoreError."""
        with _translated(key):
            for chunk in obstore.get(self._objects, key).stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def size(self, key: str) -> int:
        """Its bytes. Raises MissingArtefact, StoreError."""
        with _translated(key):
            return obstore.head(self._objects, key)["size"]

    def copy(self, key: str, to: str) -> None:
        """Store the same content under another key as well. Raises MissingArtefact, StoreError."""
        with _translated(key):
            obstore.copy(self._objects, key, to)

    def delete_explanation(self, explanation_id: str) -> None:
        """Remove all that is stored of an explanation; nothing stored is no error."""
        with _translated(explanation_id):
            for path in list(self._paths(f"explanations/{explanation_id}")):
                with suppress(FileNotFoundError):  # another sweeper was faster
                    obstore.delete(self._objects, path)

    def _paths(self, prefix: str) -> Iterator[str]:
        for page in obstore.list(self._objects, prefix):
            yield from (meta["path"] for meta in page)

    def check(self) -> None:
        """Write and remove a probe. Raises StoreError when the store is not usable."""
        self.put("probe", b"ok")
        with _translated("probe"), suppress(FileNotFoundError):  # another process was faster
            obstore.delete(self._objects, "probe")


class _translated:  # noqa: N801 - reads as a phrase: with _translated(key)
    """Turns obstore's and the system's errors into ours."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise MissingArtefact(f"nothing is stored as {self._key!r}") from error
        if isinstance(error, (obstore.exceptions.BaseError, OSError)):
            raise StoreError(f"the store refused {self._key!r}: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """What the system said, such as a full disk; obstore tells it among the paths it tried."""
    said = re.search(r"os error (\d+)", str(error))
    return os.strerror(int(said[1])) if said else type(error).__name__
