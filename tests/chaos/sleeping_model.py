"""The real worker with models that sleep, and score a picture by its mean colour, in 0..1."""

import os
import time

import numpy as np
import structlog
from numpy.typing import NDArray

from service.infra.artifact_store import open_store
from service.infra.deadlines import StoreDeadlines
from service.infra.logging import configure_logging
from service.infra.settings.worker import WorkerSettings
from service.infra.tracing import Tracer
from service.jobs.redis_connections import connect
from service.jobs.rq_adapter import Job
from service.jobs.rq_job import EXPLAIN
from service.schemas.fingerprint import labels_digest
from service.schemas.models import ModelCard
from tests.ledger import Ledger
from tests.tiny import PARTS, card
from worker.engine.game.coalitions import Shape
from worker.engine.predictor import check_pictures
from worker.explain_job import Explainer
from worker.housekeeping import Housekeeping
from worker.models.loading import LoadedModel
from worker.rq_worker import ModelWorker

LABELS = ["red", "green", "blue"]

log = structlog.get_logger(__name__)


class SleepingModel:
    """A predictor that sleeps during each call."""

    n_outputs = len(LABELS)
    backend, device, dtype = "none", "cpu", "float32"

    def __init__(self, shape: Shape, step_s: float) -> None:
        self.input_shape = shape
        self._step_s = step_s

    def __call__(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        check_pictures(pictures, self.input_shape)
        log.debug("batch begun", pictures=len(pictures))
        time.sleep(self._step_s)
        return pictures.mean(axis=(1, 2)) / 255  # (N, 3), 0..1


class SleepingRegistry:
    """A registry of two models with different input shapes."""

    def __init__(self, step_s: float) -> None:
        shapes = {"sleeper": (96, 96, 3), "dozer": (16, 24, 3)}
        self._models = {name: _model(name, shape, step_s) for name, shape in shapes.items()}

    def get(self, name: str) -> LoadedModel:
        return self._models[name]

    def cards(self) -> list[ModelCard]:
        return [model.card for model in self._models.values()]


def _model(name: str, shape: Shape, step_s: float) -> LoadedModel:
    parts = PARTS.model_copy(update={"input_shape": shape, "labels": labels_digest(LABELS)})
    announced = card(
        name=name,
        default=name == "sleeper",
        parts=parts,
        input_shape=shape,
        output_count=len(LABELS),
        labels=LABELS,
        fit="stretch",
    )
    return LoadedModel(announced, SleepingModel(shape, step_s), LABELS)


def main(name: str, step_s: float, ledger: type[Ledger] = Ledger) -> None:
    """Work under this name with this ledger; each call of a model takes `step_s` seconds."""
    settings, registry = WorkerSettings(), SleepingRegistry(step_s)
    name = f"{name}-{os.getpid()}"  # RQ refuses the name of a killed worker
    configure_logging(level=settings.log_level, as_json=False)
    connection = connect(settings.redis_url)
    written = ledger.of(connection, settings)
    store = open_store(settings.store_url, StoreDeadlines.of_worker(settings))
    housekeeping = Housekeeping(name, connection, written, store, settings, registry.cards)
    housekeeping.start()
    Job.functions[EXPLAIN] = Explainer(registry, store, settings, Tracer()).explain
    ModelWorker(name, connection, written, settings, housekeeping.identity).work(
        logging_level="WARNING"
    )
    housekeeping.stop()
