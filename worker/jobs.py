"""The one job there is, and the one place where the contract meets the engine."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TypeVar

import numpy as np
import structlog

from service.contract.ledger import Order, State
from service.contract.pictures import PictureError, decode_picture
from service.contract.schema import (
    Crop,
    ErrorCode,
    Outcome,
    OutputResult,
    Outputs,
    ResolvedSettings,
    Runtime,
    Status,
    Timings,
)
from service.contract.settings import Settings
from service.contract.store import MissingArtefact, Store, StoreError, attributions_key, image_key
from worker.control import Canceled, Control
from worker.ending import Ending, failed
from worker.engine.arrays import Pictures
from worker.engine.errors import EngineError
from worker.engine.evaluate import evaluate
from worker.engine.explanation import Explained, Explanation
from worker.engine.request import Request, Top
from worker.images import fit_picture
from worker.models.errors import ModelUnavailable
from worker.models.loading import LoadedModel
from worker.models.registry import Registry

STORE_TRIES = 3
T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A picture as its model takes it."""

    model: LoadedModel
    pixels: Pictures  # (H, W, C) float32 in 0..255
    crop: Crop
    seconds: float


class Explainer:
    """Computes explanations with the models of one process."""

    def __init__(self, registry: Registry, store: Store, settings: Settings) -> None:
        self._registry = registry
        self._store = store
        self._settings = settings

    def explain(self, state: State, attempt: str, control: Control) -> Ending:
        """Compute one explanation; interruptions go through, but for a cancel with a result."""
        if state.order is None:
            return failed(ErrorCode.INTERNAL, "the explanation has lost its order")
        try:
            prepared = self._prepare(state.id, state.order)
            return self._compute(state, state.order, attempt, prepared, control)
        except ModelUnavailable as error:
            return failed(ErrorCode.MODEL_UNAVAILABLE, str(error))
        except PictureError as error:
            return failed(ErrorCode.INVALID_IMAGE, str(error))
        except StoreError as error:
            return failed(ErrorCode.STORE_UNAVAILABLE, str(error))
        except EngineError as error:
            return failed(ErrorCode.INVALID_SETTINGS, str(error))

    def _prepare(self, explanation_id: str, order: Order) -> Prepared:
        began = time.perf_counter()
        model = self._registry.get(order.settings.model)
        upload = _try_again(lambda: self._store.get(image_key(explanation_id)))
        picture = decode_picture(upload, max_pixels=self._settings.max_pixels)
        shape = model.predictor.input_shape
        pixels, crop = fit_picture(picture.pixels, shape, fit=model.card.fit)
        return Prepared(model, pixels, crop, time.perf_counter() - began)

    def _compute(
        self, state: State, order: Order, attempt: str, prepared: Prepared, control: Control
    ) -> Ending:
        predictor = prepared.model.predictor
        request = engine_request(order.settings, prepared.model.labels)
        explanation = Explanation(predictor, prepared.pixels, request, control=control)
        began = time.perf_counter()
        try:
            explained = evaluate(explanation, predictor, threads=self._settings.threads or None)
            status = Status.SUCCEEDED
        except Canceled:
            status = Status.CANCELED
            so_far = explanation.snapshot()
            if so_far is None:
                raise
            explained = so_far
        engine_s = time.perf_counter() - began
        store_s = self._keep(state.id, attempt, prepared, explained)
        timings = _timings(state, prepared, explained, engine_s, store_s)
        return Ending(status, _outcome(status, prepared, explained, timings))

    def _keep(
        self, explanation_id: str, attempt: str, prepared: Prepared, explained: Explained
    ) -> float:
        """Store the arrays; the seconds it took."""
        began = time.perf_counter()
        content = pack_arrays(prepared, explained)
        _try_again(lambda: self._store.put(attributions_key(explanation_id, attempt), content))
        return time.perf_counter() - began


def engine_request(settings: ResolvedSettings, labels: list[str]) -> Request:
    """The engine's request; labels become indices. Raises EngineError for what it cannot do."""
    return Request(
        method=settings.method,
        masker=settings.masker,
        outputs=_wanted(settings.outputs, labels),
        link=settings.link,
        max_evals=settings.max_evals,
        batch_size=settings.batch_size,
        fixed_context=settings.fixed_context,
        seed=settings.seed,
    )


def _wanted(outputs: Outputs, labels: list[str]) -> Top | tuple[int, ...]:
    if outputs.top is not None:
        return Top(outputs.top)
    if outputs.indices is not None:
        return tuple(outputs.indices)
    absent = [label for label in outputs.labels or [] if label not in labels]
    if absent:
        raise EngineError(f"the model has no outputs called {absent}")
    return tuple(labels.index(label) for label in outputs.labels or [])


def pack_arrays(prepared: Prepared, explained: Explained) -> bytes:
    """The npz that clients get: values (H,W,C,K) float32, base_values (K,), data (H,W,C), names."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        values=explained.attribution.values.astype(np.float32),
        base_values=explained.attribution.base_values,
        data=prepared.pixels,
        output_names=np.array([prepared.model.labels[i] for i in explained.outputs]),
        output_indices=explained.outputs,
    )
    return buffer.getvalue()


def _outcome(status: Status, prepared: Prepared, explained: Explained, timings: Timings) -> Outcome:
    outputs = _output_results(prepared.model.labels, explained)
    predictor = prepared.model.predictor
    return Outcome(
        partial=status is Status.CANCELED,
        solution_concept=explained.attribution.solution_concept,
        evaluations=explained.attribution.evaluations,
        outputs=outputs,
        efficiency_gap=max(abs(output.efficiency_gap) for output in outputs),
        crop=prepared.crop,
        runtime=Runtime(
            backend=predictor.backend,
            device=predictor.device,
            dtype=predictor.dtype,
            versions=_versions(),
        ),
        timings=timings,
    )


def _output_results(labels: list[str], explained: Explained) -> list[OutputResult]:
    """Sums are of the stored float32 values, so that a client's own sum agrees."""
    attribution = explained.attribution
    sums = attribution.values.astype(np.float32).sum(axis=(0, 1, 2), dtype=np.float64)  # (K,)
    gaps = attribution.scores - attribution.base_values - sums
    return [
        OutputResult(
            index=int(index),
            label=labels[index],
            score=float(attribution.scores[k]),
            base_value=float(attribution.base_values[k]),
            attribution_sum=float(sums[k]),
            efficiency_gap=float(gaps[k]),
            unresolved=float(attribution.unresolved[k]),
        )
        for k, index in enumerate(explained.outputs)
    ]


def _timings(
    state: State, prepared: Prepared, explained: Explained, engine_s: float, store_s: float
) -> Timings:
    return Timings(
        queued_s=round((state.started_at or state.created_at) - state.created_at, 4),
        prepare_s=round(prepared.seconds, 4),
        engine_s=round(engine_s, 4),
        masking_s=round(explained.timings.mask_s, 4),
        model_s=round(explained.timings.model_s, 4),
        store_s=round(store_s, 4),
    )


@cache
def _versions() -> dict[str, str]:
    packages = ("shapshot", "tensorflow", "keras", "opencv-python-headless", "numpy")
    return {package: version(package) for package in packages}


def _try_again(action: Callable[[], T]) -> T:
    """Run it up to STORE_TRIES times while the store fails; what is missing stays missing."""
    for attempt in range(1, STORE_TRIES):
        try:
            return action()
        except MissingArtefact:
            raise
        except StoreError as error:
            log.warning("the store failed; trying again", reason=str(error), attempt=attempt)
            time.sleep(0.2 * attempt)
    return action()
