"""Packs what a result rests on for its record, and reads it again."""

from collections.abc import Sequence

import numpy as np

from service.infra.packed_arrays import pack, unpack_transcript
from service.schemas.evidence import Evidence, RegionNumbers, TranscriptDocument
from worker.adapters.results import region_count
from worker.engine.evidence.transcript import Transcript
from worker.engine.explanation import ExplanationResult
from worker.models.consistency import ROUNDING


def pack_evidence(
    explained: ExplanationResult, *, pixels_sha256: str, batch: int, dtypes: Sequence[str]
) -> bytes:
    """Pack the evidence of a result as JSON; dtypes: each model's type of numbers."""
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
        score_tolerance=max(ROUNDING[dtype] for dtype in dtypes),
        regions=numbers,
        expected=None if explained.expected is None else pack(explained.expected),
        transcript=_pack_transcript(explained.transcript, "boxes" if boxes else "players", outputs),
        curves=curves,
    )
    return evidence.model_dump_json().encode()


def read_transcript(packed: TranscriptDocument) -> Transcript:
    """Read a transcript. Raises ValueError where its parts do not belong together."""
    rows, scores = unpack_transcript(packed)
    places = np.cumsum(packed.steps)[:-1]
    return Transcript(list(packed.steps), rows, np.split(scores, places) if packed.steps else [])


def _pack_transcript(transcript: Transcript, form: str, outputs: int) -> TranscriptDocument:
    sizes = np.array([len(row) for row in transcript.rows], "<u2")
    return TranscriptDocument(
        form=form,
        steps=transcript.steps,
        sizes=pack(sizes),
        rows=pack(np.frombuffer(b"".join(transcript.rows), np.uint8)),
        scores=pack(transcript.all_scores(outputs)),
    )
