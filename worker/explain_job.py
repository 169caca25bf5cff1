"""The explain job: reads the job spec, runs the engine, stores the arrays, returns the outcome."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np

from service.images.decoding import Picture, decode_picture
from service.images.label_maps import decode_label_map
from service.images.model_view import ModelView
from service.infra.artifact_store import (
    Store,
    attributions_key,
    evidence_key,
    faithfulness_key,
    image_key,
    label_map_key,
)
from service.infra.artifacts import Artifact, AttemptArtifacts, read_whole
from service.infra.settings.worker import WorkerSettings
from service.infra.tracing import Tracer
from service.jobs.leases import ModelUsage
from service.jobs.result_size import count_numbers
from service.schemas.documents import ErrorCode, ImageInfo, LabelMapInfo, Status
from service.schemas.requests import Fit
from service.schemas.results import Timings
from service.schemas.warnings import ResultWarning
from worker.adapters.engine_request import engine_request
from worker.adapters.evidence import pack_evidence
from worker.adapters.model_input import fit_labels, fit_picture
from worker.adapters.previews import encode_preview
from worker.adapters.results import make_outcome, pack_attributions, pack_curves
from worker.adapters.warnings import (
    crop_warnings,
    curve_warnings,
    hidden_nan_warnings,
    output_warnings,
    picture_warnings,
    precision_warnings,
    resizing_warnings,
    run_warnings,
)
from worker.coalitions_job import CoalitionScorer
from worker.engine.arrays import Labels, Pictures
from worker.engine.explanation import ExplanationResult, ExplanationRun
from worker.engine.game.coalitions import Shape
from worker.engine.masking.padding import PictureOffset
from worker.engine.scoring import run
from worker.engine.scoring.batch_size import device_batch_size
from worker.engine.scoring.driver import evaluate_all
from worker.expected_errors import result_of
from worker.interruptions import Canceled
from worker.models.registry import Registry
from worker.models.scoring_models import ScoringModels, change_of, find_models
from worker.task import FinishedTask, Task, TaskResult, failed


@dataclass(frozen=True)
class Prepared:
    """A task with its picture fitted to the model's input, ready for the engine."""

    task: Task
    scoring: ScoringModels
    pixels: Pictures  # (H, W, C) float32 in 0..255
    pixels_sha256: str  # of the upright picture
    view: ModelView
    explanation: ExplanationRun
    doubts: list[ResultWarning]  # about the upload
    numbers: int  # array elements that the explanation holds
    seconds: float  # spent on fetching and preparing


class Explainer:
    """Computes explanations with the models of one process."""

    def __init__(
        self, registry: Registry, store: Store, settings: WorkerSettings, tracer: Tracer
    ) -> None:
        self._registry = registry
        self._store = store
        self._settings = settings
        self._tracer = tracer
        self._scorer = CoalitionScorer(registry, store, settings)

    def explain(self, tasks: Sequence[Task]) -> Iterator[FinishedTask]:
        """Compute explanations, those of one model side by side; yield each as it ends.

        The API gives all explanations of a batch one model; records in Redis may differ, so the
        tasks are grouped by model here.
        """
        groups: dict[tuple[int, ...], dict[ExplanationRun, Prepared]] = {}  # by model or models
        for task in tasks:
            spec = task.state.spec
            if spec and spec.coalitions:
                with self._span("score", task):
                    answer = partial(self._scorer.answer, task, spec, spec.coalitions)
                    result = result_of(task, answer)
                yield task, result
                continue
            prepared = result_of(task, partial(self._prepare, task))
            if isinstance(prepared, Prepared):
                group = groups.setdefault(prepared.scoring.group, {})
                group[prepared.explanation] = prepared
            else:
                yield task, prepared
        for group in groups.values():
            for portion in _portions(group, self._settings.max_values):
                yield from self._compute(portion)

    def _prepare(self, task: Task) -> Prepared | TaskResult:
        began = time.perf_counter()
        task.control.check()
        spec, id_ = task.state.spec, task.state.id
        if spec is None:
            return failed(ErrorCode.INTERNAL, "the explanation's record has no job specification")
        scoring = find_models(self._registry, spec.settings)
        if change := change_of(scoring, spec.model, spec.compared):
            detail = f"the explanation was accepted for {change}: send the request again"
            return failed(ErrorCode.MODEL_CHANGED, detail)
        predictor = scoring.predictor
        with self._span("fetch", task):
            image = self._fetch(image_key(id_), spec.image)
            label_map = None
            if spec.label_map:
                label_map = self._fetch(label_map_key(id_), spec.label_map)
        with self._span("prepare", task):
            fit, shape = spec.settings.fit, predictor.input_shape
            picture = decode_picture(image, max_pixels=self._settings.max_pixels)
            doubts = list(picture_warnings(picture))
            digest = hashlib.sha256(np.ascontiguousarray(picture.pixels).data).hexdigest()
            pixels, view, labels = self._fit(shape, fit, picture, label_map)
            del picture  # it may be large
            request = engine_request(spec.settings, scoring.models[0].labels, labels)
            place = PictureOffset(view.placement.top, view.placement.left) if fit == "pad" else None
            explanation = ExplanationRun(
                predictor,
                pixels,
                request,
                place=place,
                pairing=scoring.pairing,
                control=task.control,
            )
        numbers = count_numbers(spec.settings, shape, explanation.player_count)
        limit = self._settings.max_values
        if numbers > limit:  # a job accepted under other settings
            detail = f"the explanation has {numbers} numbers; this worker accepts at most {limit}"
            return failed(ErrorCode.INVALID_SETTINGS, detail)
        task.control.encode_preview = partial(encode_preview, labels=scoring.labels, crop=view.crop)
        seconds = time.perf_counter() - began
        shown = explanation.shown if place else pixels
        return Prepared(task, scoring, shown, digest, view, explanation, doubts, numbers, seconds)

    def _fit(
        self, shape: Shape, fit: Fit, picture: Picture, label_map: bytes | None
    ) -> tuple[Pictures, ModelView, Labels | None]:
        """Fit the upload to the model's input: see `fit_picture` and `fit_labels`."""
        pixels, view = fit_picture(picture.pixels, shape, fit=fit)
        if label_map is None:
            return pixels, view, None
        labels = decode_label_map(label_map, max_pixels=self._settings.max_pixels)
        H, W = picture.pixels.shape[:2]
        return pixels, view, fit_labels(labels, (H, W), shape, fit=fit)

    def _span(self, name: str, task: Task) -> AbstractContextManager[None]:
        return self._tracer.span(name, task.traceparent, task.log_fields)

    def _fetch(self, key: str, sent: ImageInfo | LabelMapInfo) -> bytes:
        """Read an upload from the store; check its size and sha256."""
        recorded = Artifact(size=sent.bytes, sha256=sent.sha256)
        return read_whole(self._store, key, recorded)

    def _compute(self, ready: dict[ExplanationRun, Prepared]) -> Iterator[FinishedTask]:
        """Compute explanations, removing each from `ready` at its end to free its arrays."""
        predictor = next(iter(ready.values())).scoring.predictor
        threads = self._settings.threads or None
        began, since = time.perf_counter(), time.time_ns()
        for explanation, ending in evaluate_all(list(ready), predictor, threads=threads):
            engine_s = time.perf_counter() - began
            prepared = ready.pop(explanation)
            task, spent = prepared.task, explanation.timings
            task.control.work = ModelUsage(
                evaluations=spent.evaluations,
                batches=spent.batches,
                slots=spent.slots,
                model_s=spent.model_s,
                masking_s=spent.mask_s,
            )
            reason = None if isinstance(ending, ExplanationResult) else type(ending).__name__
            self._tracer.record(
                "engine", task.traceparent, task.log_fields, since=since, failed=reason
            )
            yield task, result_of(task, partial(self._conclude, prepared, ending, engine_s))

    def _conclude(self, prepared: Prepared, ending: run.RunResult, engine_s: float) -> TaskResult:
        """Store the result, or at a cancel the partial one; raise any other ending."""
        so_far = prepared.explanation.snapshot() if isinstance(ending, Canceled) else None
        explained = so_far or ending
        if not isinstance(explained, ExplanationResult):
            raise explained
        task, scoring = prepared.task, prepared.scoring
        state, spec = task.state, task.state.spec
        with self._span("store", task):
            store_s, artifacts = self._keep(prepared, explained)
        timings = Timings(
            queued_s=round(max(0.0, (state.started_at or 0.0) - state.created_at), 4),
            prepare_s=round(prepared.seconds, 4),
            engine_s=round(engine_s, 4),
            masking_s=round(explained.timings.mask_s, 4),
            model_s=round(explained.timings.model_s, 4),
            store_s=round(store_s, 4),
        )
        warnings = [
            *run_warnings(explained, stopped_at=task.control.count if so_far else None),
            *output_warnings(explained, scoring.labels),
            *curve_warnings(explained, scoring.labels),
            *precision_warnings(scoring),
            *resizing_warnings(scoring),
            *hidden_nan_warnings(scoring, prepared.explanation, explained),
            *prepared.doubts,
            *(crop_warnings(prepared.view.crop, spec.image) if spec else []),
        ]
        outcome = make_outcome(
            explained,
            scoring,
            partial=so_far is not None,
            view=prepared.view,
            timings=timings,
            warnings=warnings,
        )
        return TaskResult(Status.CANCELED if so_far else Status.SUCCEEDED, outcome, artifacts)

    def _keep(
        self, prepared: Prepared, explained: ExplanationResult
    ) -> tuple[float, AttemptArtifacts]:
        """Store arrays and curves; return the seconds spent and the stored artifacts."""
        began = time.perf_counter()
        explanation_id, attempt = prepared.task.state.id, prepared.task.attempt
        scoring = prepared.scoring
        arrays, blocks = pack_attributions(explained, prepared.pixels, prepared.view, scoring)
        stored = self._put(attributions_key(explanation_id, attempt), arrays)
        curves = None
        if explained.faithfulness:
            content = pack_curves(explained, scoring.labels)
            curves = self._put(faithfulness_key(explanation_id, attempt), content)
        evidence = pack_evidence(
            explained,
            pixels_sha256=prepared.pixels_sha256,
            batch=device_batch_size(scoring.predictor.input_shape, scoring.predictor.device),
            dtypes=[model.predictor.dtype for model in scoring.models],
        )
        artifacts = AttemptArtifacts(
            shape=(*prepared.pixels.shape, len(explained.outputs)),
            attributions=stored,
            blocks=blocks,
            faithfulness=curves,
            evidence=self._put(evidence_key(explanation_id, attempt), evidence),
        )
        return time.perf_counter() - began, artifacts

    def _put(self, key: str, content: bytes) -> Artifact:
        self._store.put(key, content)
        return Artifact.of(content)


def _portions(
    group: dict[ExplanationRun, Prepared], most: int
) -> Iterator[dict[ExplanationRun, Prepared]]:
    """Split a group, in order, into portions of at most `most` numbers; this empties the group.

    A portion has at least one explanation.
    """
    while group:
        portion: dict[ExplanationRun, Prepared] = {}
        held = 0
        while group and (not portion or held + next(iter(group.values())).numbers <= most):
            explanation, prepared = next(iter(group.items()))
            portion[explanation] = group.pop(explanation)
            held += prepared.numbers
            del explanation, prepared  # frees their arrays when they have ended
        yield portion
