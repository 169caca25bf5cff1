"""Converts the engine's preview into the document that clients receive."""

import base64
from collections.abc import Sequence

import numpy as np

from service.schemas.previews import Preview, PreviewOutput
from service.schemas.results import Rectangle
from worker.engine import preview as engine


def encode_preview(found: engine.Preview, labels: Sequence[str], crop: Rectangle) -> str:
    """Build the document as JSON; `labels` name all outputs of the model.

    Attributions of single pixels may be smaller than float16 can hold, so each output is divided by
    its largest.
    """
    scales = np.abs(found.heat).max(axis=(1, 2))  # (K,)
    shares = found.heat / np.where(scales > 0, scales, 1)[:, np.newaxis, np.newaxis]
    outputs = [
        PreviewOutput(index=int(index), label=labels[index], scale=float(scale))
        for index, scale in zip(found.outputs, scales, strict=True)
    ]
    _, rows, columns = found.heat.shape
    return Preview(
        evaluations=found.evaluations,
        planned=found.planned,
        outputs=outputs,
        crop=crop,
        rows=rows,
        columns=columns,
        cell=found.cell,
        heat=base64.b64encode(shares.astype("<f2").tobytes()).decode(),
    ).model_dump_json()
