"""The job of coalitions: scores coalitions of an explanation's regions, or paints one of them.

The picture, as it was fitted to the model's input, and its regions are read from the arrays of the
explanation; it is masked and scored as for the explanation. So the empty and the full coalition get
the explanation's base values and scores, but for rounding.
"""

import base64
import io

import numpy as np
from PIL import Image

from service.images.model_view import model_view
from service.infra.artifact_store import (
    DamagedArtifactError,
    MissingArtifactError,
    Store,
    attributions_key,
)
from service.infra.result_arrays import load_arrays
from service.infra.settings.worker import WorkerSettings
from service.jobs.leases import ModelUsage
from service.jobs.records import CoalitionSpec, JobSpec
from service.schemas.documents import ErrorCode, Status
from service.schemas.scores import CoalitionScores, MaskedPicture, ScoredOutput
from worker.adapters.engine_request import read_masker
from worker.engine.arrays import Indices, Mask, Pictures
from worker.engine.explanation import EngineTimings
from worker.engine.game.coalitions import Shape
from worker.engine.game.players import PlayerCoalitions
from worker.engine.masking.maskers import Masker, make_masker
from worker.engine.masking.padding import PaddedMasker, PictureOffset
from worker.engine.scoring.coalitions import link_scores, score_coalitions
from worker.models.registry import Registry
from worker.models.scoring_models import change_of, find_models
from worker.task import Task, TaskResult, failed

MAX_PNG_BYTES = 4 * 2**20  # of a picture in Redis


class CoalitionScorer:
    """Answers requests for coalitions with the models of one process."""

    def __init__(self, registry: Registry, store: Store, settings: WorkerSettings) -> None:
        self._registry = registry
        self._store = store
        self._settings = settings

    def answer(self, task: Task, spec: JobSpec, asked: CoalitionSpec) -> TaskResult:
        """Score or paint. Raises ModelUnavailableError, StoreError, EngineError, Interruption."""
        task.control.check()
        scoring = find_models(self._registry, spec.settings)
        if change := change_of(scoring, spec.model, spec.compared):
            detail = f"the explanation was computed by {change}: explain the picture again"
            return failed(ErrorCode.MODEL_CHANGED, detail)
        shape = scoring.predictor.input_shape
        try:
            masker, labels = self._load(spec, asked, shape)
        except MissingArtifactError as error:
            damaged = isinstance(error, DamagedArtifactError)
            reason = "damaged" if damaged else "no longer in the store"
            detail = f"the arrays of {asked.explanation} are {reason}"
            return failed(ErrorCode.NO_RESULT, detail)
        if asked.picture:
            [picture] = masker(PlayerCoalitions(labels, members(asked)))
            png = to_png(picture)
            if len(png) > MAX_PNG_BYTES:
                detail = (
                    f"the picture has {len(png)} bytes as PNG; at most {MAX_PNG_BYTES} are sent"
                )
                return failed(ErrorCode.TOO_LARGE, detail)
            return TaskResult(Status.SUCCEEDED, answer=MaskedPicture(png=base64.b64encode(png)))
        # Nothing and everything are scored anew. The record has their scores only for the explained
        # outputs, while the logit link needs those of all; and TensorFlow rounds the scores of a
        # batch of three pictures differently from those of one.
        ends = np.array([[False], [True]]).repeat(asked.regions, axis=1)
        coalitions = PlayerCoalitions(labels, np.concatenate([ends, members(asked)]))
        spent = EngineTimings()
        scores = score_coalitions(
            scoring.predictor,
            masker,
            coalitions,
            timings=spent,
            control=task.control,
            threads=self._settings.threads or None,
        )
        task.control.work = ModelUsage(
            evaluations=spent.evaluations * len(scoring.models),
            batches=spent.batches * len(scoring.models),
            slots=spent.slots * len(scoring.models),
            model_s=spent.model_s,
            masking_s=spent.mask_s,
        )
        (base, full, *rows), outputs = link_scores(
            scores, asked.outputs, spec.settings.link, scoring.pairing
        )
        described = [
            ScoredOutput(
                index=int(index),
                label=scoring.labels[index],
                base_value=float(base[k]),
                score=float(full[k]),
            )
            for k, index in enumerate(outputs)
        ]
        answer = CoalitionScores(outputs=described, scores=[row.tolist() for row in rows])
        return TaskResult(Status.SUCCEEDED, answer=answer)

    def _load(self, spec: JobSpec, asked: CoalitionSpec, shape: Shape) -> tuple[Masker, Indices]:
        """Return the masker of the fitted picture (h, w, C), and the region of each element.

        The regions are (h, w), or (h, w, C) where they divide channels. Raises StoreError, among
        them MissingArtifactError and DamagedArtifactError.
        """
        key = attributions_key(asked.explanation, asked.result)
        names = ["data", "regions"]
        arrays = load_arrays(self._store, key, asked.artifacts, asked.explained, names=names)
        photo = spec.image.height, spec.image.width
        placed = model_view(photo, shape[:2], fit=spec.settings.fit).placement
        inside = slice(placed.top, placed.bottom), slice(placed.left, placed.right)
        if arrays["data"].shape != shape or "regions" not in arrays:
            raise DamagedArtifactError(f"{key!r} has no picture of shape {shape} with regions")
        pixels, labels = arrays["data"][inside].astype(np.float32), arrays["regions"][inside]
        if not 0 <= labels.min() <= labels.max() < asked.regions:
            raise DamagedArtifactError(f"{key!r} has other regions than its record")
        masker = make_masker(read_masker(spec.settings.masker), pixels)
        if spec.settings.fit == "pad":
            place = PictureOffset(placed.top, placed.left)
            masker = PaddedMasker(masker, pixels.shape, place, shape)
        return masker, labels.astype(np.int64)


def members(asked: CoalitionSpec) -> Mask:
    """Return which regions each coalition sees: (B, R)."""
    seen = np.empty((len(asked.coalitions), asked.regions), np.bool_)
    for row, coalition in zip(seen, asked.coalitions, strict=True):
        row[:] = coalition.hidden is not None
        row[coalition.regions] = coalition.hidden is None
    return seen


def to_png(picture: Pictures) -> bytes:
    """Encode a picture (H, W, C), 1 or 3 channels in 0..255, as 8-bit PNG."""
    levels = picture.round().clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels if levels.shape[2] == 3 else levels[..., 0]).save(file, "PNG")
    return file.getvalue()
