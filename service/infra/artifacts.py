"""What is recorded of each artefact when an explanation ends, so that every reader can compare.

The record is in Redis, the artefact in the store: what does not agree with its record is damaged,
and is never shown.
"""

import hashlib
from collections.abc import Iterator
from math import prod
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.infra.artifact_store import DamagedArtifactError, Store

MAX_INFLATION = 1040  # deflate gives at most so many bytes for one
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Length = Annotated[int, Field(ge=1, lt=2**31)]
Size = Annotated[int, Field(ge=0, lt=2**63)]  # bytes


class Artifact(BaseModel):
    """A whole artefact."""

    model_config = ConfigDict(frozen=True)

    size: Size
    sha256: Sha256

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest())


class ArtifactSection(Artifact):
    """A part of an artefact, which can be read and compared alone."""

    size: Annotated[int, Field(gt=0, lt=2**63)]  # bytes
    offset: Size

    @classmethod
    def at(cls, offset: int, content: bytes) -> Self:
        digest = hashlib.sha256(content).hexdigest()
        return cls(offset=offset, size=len(content), sha256=digest)

    def check(self, key: str, content: bytes) -> None:
        """Raises DamagedArtifactError where it is not what was written."""
        _compare(key, self, len(content), hashlib.sha256(content))


class AttemptArtifacts(BaseModel):
    """Those of one attempt."""

    model_config = ConfigDict(frozen=True)

    shape: tuple[Length, Length, Length, Length]  # of the values: H, W, C, K
    attributions: Artifact
    # of the attributions: where each output's arrays are; see result_arrays.py
    blocks: ArtifactSection
    faithfulness: Artifact | None = None  # None where no metrics were asked for

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Memory is reserved by the shape, before anything is read."""
        if 4 * prod(self.shape) > MAX_INFLATION * self.attributions.size:
            raise ValueError(f"values {self.shape} in {self.attributions.size} bytes")
        return self


def check_size(store: Store, key: str, recorded: Artifact) -> None:
    """Compare what can be compared without reading. Raises as `read_whole`."""
    size = store.size(key)
    if size != recorded.size:
        raise DamagedArtifactError(f"{key!r} has {size} bytes; {recorded.size} were written")


def read_whole(store: Store, key: str, recorded: Artifact) -> bytes:
    """Read all of an artefact. Raises MissingArtifactError, DamagedArtifactError, StoreError."""
    content = store.get(key, size=recorded.size)
    _compare(key, recorded, len(content), hashlib.sha256(content))
    return content


def read_in_chunks(store: Store, key: str, recorded: Artifact) -> Iterator[bytes]:
    """Read all of an artefact, first once to compare it: nothing of a damaged one is handed out.

    Compared at the first `next`. Raises MissingArtifactError, DamagedArtifactError, StoreError;
    where it changes between the two readings, DamagedArtifactError before the last chunk.
    """
    for _ in _compared(store, key, recorded):
        pass
    yield from _compared(store, key, recorded)


def _compared(store: Store, key: str, recorded: Artifact) -> Iterator[bytes]:
    """The last chunk is handed out once all agrees."""
    digest, size, last = hashlib.sha256(), 0, b""
    for chunk in store.chunks(key):
        digest.update(chunk)
        size += len(chunk)
        if last:
            yield last
        last = chunk
    _compare(key, recorded, size, digest)
    yield last


def _compare(key: str, recorded: Artifact, size: int, digest: "hashlib._Hash") -> None:
    if size != recorded.size:
        raise DamagedArtifactError(f"{key!r} has {size} bytes; {recorded.size} were written")
    if digest.hexdigest() != recorded.sha256:
        raise DamagedArtifactError(f"{key!r} is not what was written: its sha256 differs")
