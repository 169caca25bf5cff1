"""Packs what a result rests on for its record, and reads it again."""

import base64
import zlib
from math import prod

import numpy as np
from numpy.typing import NDArray

from service.schemas.evidence import Evidence, PackedArray, RegionNumbers, TranscriptDocument
from worker.adapters.results import region_count
from worker.engine.evidence.transcript import Transcript
from worker.engine.explanation import ExplanationResult
from worker.models.consistency import ROUNDING


def pack_evidence(
    explained: ExplanationResult, *, pixels_sha256: str, batch: int, dtype: str
) -> bytes:
    """Pack the evidence of a result as JSON; dtype: the model's type of numbers."""
    outputs = len(explained.outputs)
    boxes = explained.request.method == "partition" and explained.attribution.players is None
    curves = None
    if explained.faithfulness:
        curves = _pack_transcript(explained.curve_transcript, "elements", outputs)
    numbers = None
    if region_count(explained) is not None:
        regions = explained.attribution.regions
        interval = regions.interval
        numbers = RegionNumbers(
            values=pack(regions.values),
            standard_errors=None if regions.errors is None else pack(regions.errors),
            low=pack(interval.low) if interval else None,
            high=pack(interval.high) if interval else None,
        )
    evidence = Evidence(
        pixels_sha256=pixels_sha256,
        batch=batch,
        score_tolerance=ROUNDING[dtype],
        regions=numbers,
        transcript=_pack_transcript(explained.transcript, "boxes" if boxes else "players", outputs),
        curves=curves,
    )
    return evidence.model_dump_json().encode()


def read_transcript(packed: TranscriptDocument) -> Transcript:
    """Read a transcript. Raises ValueError where its parts do not belong together."""
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
    places = np.cumsum(packed.steps)[:-1]
    return Transcript(list(packed.steps), parts, np.split(scores, places) if packed.steps else [])


def _pack_transcript(transcript: Transcript, form: str, outputs: int) -> TranscriptDocument:
    sizes = np.array([len(row) for row in transcript.rows], "<u2")
    return TranscriptDocument(
        form=form,
        steps=transcript.steps,
        sizes=pack(sizes),
        rows=pack(np.frombuffer(b"".join(transcript.rows), np.uint8)),
        scores=pack(transcript.all_scores(outputs)),
    )


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
