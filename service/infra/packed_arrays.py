"""The arrays of evidence, packed into JSON."""

import base64
import zlib
from math import prod

import numpy as np
from numpy.typing import NDArray

from service.schemas.evidence import PackedArray, TranscriptDocument


def pack(array: NDArray[np.generic]) -> PackedArray:
    ordered = np.ascontiguousarray(array)
    content = base64.b64encode(zlib.compress(ordered.tobytes(), 9)).decode()
    return PackedArray(dtype=ordered.dtype.str, shape=list(ordered.shape), data=content)


def unpack(packed: PackedArray) -> NDArray[np.generic]:
    """Read an array; never inflates more than its shape tells. Raises ValueError."""
    expected = prod(packed.shape) * np.dtype(packed.dtype).itemsize
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(base64.b64decode(packed.data, validate=True), expected + 1)
    except zlib.error as error:
        raise ValueError(f"an array of shape {packed.shape} cannot be inflated: {error}") from error
    if len(content) != expected or not inflater.eof or inflater.unused_data:
        raise ValueError(
            f"an array of {packed.dtype} and shape {packed.shape} needs {expected} bytes; its data "
            f"inflates to {'more' if len(content) > expected else len(content)}"
        )
    return np.frombuffer(content, packed.dtype).reshape(packed.shape)


def unpack_transcript(packed: TranscriptDocument) -> tuple[list[bytes], NDArray[np.generic]]:
    """Return the row of each coalition and the scores (B, K). Raises ValueError.

    It does so where the parts of the transcript do not belong together.
    """
    sizes = unpack(packed.sizes).astype(np.int64)
    rows, scores = unpack(packed.rows), unpack(packed.scores)
    if not len(sizes) == sum(packed.steps) == len(scores) or sizes.sum() != len(rows):
        raise ValueError(
            f"the transcript has {sum(packed.steps)} coalitions in its steps, {len(sizes)} sizes "
            f"of rows, {len(rows)} bytes of rows where the sizes add up to {sizes.sum()}, and "
            f"{len(scores)} scores"
        )
    ends = np.cumsum(sizes)
    parts = [rows[end - size : end].tobytes() for size, end in zip(sizes, ends, strict=True)]
    return parts, scores
