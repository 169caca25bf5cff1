"""The arrays of evidence, packed into JSON."""

import base64
import zlib
from math import prod

import numpy as np
from numpy.typing import NDArray

from service.schemas.evidence import PackedArray, TranscriptDocument

MAX_BYTES = 2**29  # of one array


def pack(array: NDArray[np.generic]) -> PackedArray:
    ordered = np.ascontiguousarray(array)
    content = base64.b64encode(zlib.compress(ordered.tobytes(), 9)).decode()
    return PackedArray(dtype=ordered.dtype.str, shape=list(ordered.shape), data=content)


def unpack(packed: PackedArray) -> NDArray[np.generic]:
    """Read an array; never inflates more than its shape tells. Raises ValueError."""
    expected = prod(packed.shape) * np.dtype(packed.dtype).itemsize
    if expected > MAX_BYTES:
        raise ValueError(f"an array of shape {packed.shape} has {expected} bytes, over {MAX_BYTES}")
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
    sizes, asked = unpack(packed.sizes).astype(np.int64), sum(packed.steps)
    shapes = sizes.shape, packed.rows.shape, packed.scores.shape[:1], len(packed.scores.shape)
    if shapes != ((asked,), [sizes.sum()], [asked], 2):
        raise ValueError(
            f"the transcript has {asked} coalitions in its steps, {sizes.size} sizes of rows, rows "
            f"of shape {packed.rows.shape} where the sizes add up to {sizes.sum()}, and scores of "
            f"shape {packed.scores.shape}"
        )
    rows, scores = unpack(packed.rows), unpack(packed.scores)
    ends = np.cumsum(sizes)
    parts = [rows[end - size : end].tobytes() for size, end in zip(sizes, ends, strict=True)]
    return parts, scores
