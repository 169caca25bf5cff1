"""The one job there is: from an order of the contract to its outcome, by the engine."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TypeVar

import structlog

from service.contract.label_maps import LabelMapError, decode_label_map
from service.contract.ledger import Order, State
from service.contract.pictures import PictureError, decode_picture
from service.contract.schema import Crop, ErrorCode, Runtime, Status, Timings
from service.contract.settings import Settings
from service.contract.store import (
    MissingArtefact,
    Store,
    StoreError,
    attributions_key,
    faithfulness_key,
    image_key,
    label_map_key,
)
from worker.control import Canceled, Control
from worker.ending import Ending, failed
from worker.engine.arrays import Labels, Pictures
from worker.engine.errors import EngineError
from worker.engine.evaluate import evaluate
from worker.engine.explanation import Explained, Explanation
from worker.engine.request import Request
from worker.images import fit_labels, fit_picture
from worker.models.errors import ModelUnavailable
from worker.models.loading import LoadedModel
from worker.models.registry import Registry
from worker.outcome import make_outcome, pack_arrays, pack_curves
from worker.request import engine_request

STORE_TRIES = 3
T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A picture as its model takes it, and what is asked about it."""

    model: LoadedModel
    pixels: Pictures  # (H, W, C) float32 in 0..255
    crop: Crop
    request: Request
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
            return self._compute(state, attempt, prepared, control)
        except ModelUnavailable as error:
            return failed(ErrorCode.MODEL_UNAVAILABLE, str(error))
        except PictureError as error:
            return failed(ErrorCode.INVALID_IMAGE, str(error))
        except LabelMapError as error:
            return failed(ErrorCode.INVALID_LABEL_MAP, str(error))
        except StoreError as error:
            return failed(ErrorCode.STORE_UNAVAILABLE, str(error))
        except EngineError as error:
            return failed(ErrorCode.INVALID_SETTINGS, str(error))

    def _prepare(self, explanation_id: str, order: Order) -> Prepared:
        began = time.perf_counter()
        model = self._registry.get(order.settings.model)
        upload = self._fetch(image_key(explanation_id))
        picture = decode_picture(upload, max_pixels=self._settings.max_pixels)
        shape, fit = model.predictor.input_shape, model.card.fit
        pixels, crop = fit_picture(picture.pixels, shape, fit=fit)
        label_map = None
        if order.label_map:
            labels, (H, W) = self._labels(explanation_id), picture.pixels.shape[:2]
            label_map = fit_labels(labels, (H, W), shape, fit=fit)
        request = engine_request(order.settings, model.labels, label_map)
        return Prepared(model, pixels, crop, request, time.perf_counter() - began)

    def _labels(self, explanation_id: str) -> Labels:
        content = self._fetch(label_map_key(explanation_id))
        return decode_label_map(content, max_pixels=self._settings.max_pixels)

    def _fetch(self, key: str) -> bytes:
        return _try_again(lambda: self._store.get(key))

    def _compute(self, state: State, attempt: str, prepared: Prepared, control: Control) -> Ending:
        predictor = prepared.model.predictor
        explanation = Explanation(predictor, prepared.pixels, prepared.request, control=control)
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
        outcome = make_outcome(
            explained,
            prepared.model.labels,
            partial=status is Status.CANCELED,
            crop=prepared.crop,
            runtime=_runtime(prepared.model),
            timings=_timings(state, prepared, explained, engine_s, store_s),
        )
        return Ending(status, outcome)

    def _keep(
        self, explanation_id: str, attempt: str, prepared: Prepared, explained: Explained
    ) -> float:
        """Store arrays and curves; the seconds it took."""
        began = time.perf_counter()
        labels = prepared.model.labels
        arrays = pack_arrays(explained, prepared.pixels, labels)
        _try_again(lambda: self._store.put(attributions_key(explanation_id, attempt), arrays))
        if explained.faithfulness:
            curves = pack_curves(explained, labels)
            _try_again(lambda: self._store.put(faithfulness_key(explanation_id, attempt), curves))
        return time.perf_counter() - began


def _runtime(model: LoadedModel) -> Runtime:
    predictor = model.predictor
    return Runtime(
        backend=predictor.backend,
        device=predictor.device,
        dtype=predictor.dtype,
        versions=_versions(),
    )


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
    packages = ("tensorflow", "keras", "opencv-python-headless", "scikit-image", "numpy")
    return {package: version(package) for package in ("shapshot", *packages)}


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
