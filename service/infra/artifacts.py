"""Records the size and digest of each artifact, so that readers can verify it.

The record is in Redis, the artifact in the store. An artifact that differs from its record is
damaged, and is never returned.
"""

import hashlib
from collections.abc import Iterator
from math import prod
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.infra.artifact_store import DamagedArtifactError, Store

MAX_INFLATION = 1040  # the highest ratio of deflate
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Length = Annotated[int, Field(ge=1, lt=2**31)]
Size = Annotated[int, Field(ge=0, lt=2**63)]  # bytes


class Artifact(BaseModel):
    """A whole artifact."""

    model_config = ConfigDict(frozen=True)

    size: Size
    sha256: Sha256

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest())


class ArtifactSection(Artifact):
    """A part of an artifact that can be read and verified alone."""

    size: Annotated[int, Field(gt=0, lt=2**63)]  # bytes
    offset: Size

    @classmethod
    def at(cls, offset: int, content: bytes) -> Self:
        digest = hashlib.sha256(content).hexdigest()
        return cls(offset=offset, size=len(content), sha256=digest)

    def check(self, key: str, content: bytes) -> None:
        """Verify the content. Raises DamagedArtifactError if it differs from what was written."""
        _compare(key, self, len(content), hashlib.sha256(content))


class AttemptArtifacts(BaseModel):
    """The artifacts of one attempt."""

    model_config = ConfigDict(frozen=True)

    shape: tuple[Length, Length, Length, Length]  # shape of the values: H, W, C, K
    attributions: Artifact
    # Index of the attributions, with the place of each output's arrays: see result_arrays.py
    blocks: ArtifactSection
    faithfulness: Artifact | None = None  # None if no metrics were requested
    evidence: Artifact | None = None  # None if an older version computed it

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Reject a shape too large for the file: readers reserve memory by it before reading."""
        if 4 * prod(self.shape) > MAX_INFLATION * self.attributions.size:
            raise ValueError(
                f"values of shape {self.shape} do not fit in {self.attributions.size} bytes"
            )
        return self


def check_size(store: Store, key: str, recorded: Artifact) -> None:
    """Verify the size only, without reading. Raises as `read_whole`."""
    size = store.size(key)
    if size != recorded.size:
        raise DamagedArtifactError(f"{key!r} has {size} bytes; expected {recorded.size}")


def read_whole(store: Store, key: str, recorded: Artifact) -> bytes:
    """Read and verify it. Raises MissingArtifactError, DamagedArtifactError, StoreError."""
    content = store.get(key, size=recorded.size)
    _compare(key, recorded, len(content), hashlib.sha256(content))
    return content


def read_in_chunks(store: Store, key: str, recorded: Artifact) -> Iterator[bytes]:
    """Read an artifact twice, first to verify it, so that no chunk of a damaged one is returned.

    The first `next` verifies. Raises MissingArtifactError, DamagedArtifactError, StoreError; if the
    artifact changes between the two reads, DamagedArtifactError before the last chunk.
    """
    for _ in _compared(store, key, recorded):
        pass
    yield from _compared(store, key, recorded)


def _compared(store: Store, key: str, recorded: Artifact) -> Iterator[bytes]:
    """Yield the chunks, the last one only after verifying them all."""
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
        raise DamagedArtifactError(f"{key!r} has {size} bytes; expected {recorded.size}")
    if digest.hexdigest() != recorded.sha256:
        raise DamagedArtifactError(f"{key!r} does not have the recorded sha256")
