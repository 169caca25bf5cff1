"""Explanations side by side in one worker: what they keep in memory, and for how long."""

import gc
import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from structlog.testing import capture_logs

from service.client.attributions import read_npz
from service.infra.artifact_store import (
    Store,
    attributions_key,
    evidence_key,
    image_key,
    open_store,
)
from service.infra.artifacts import Artifact, read_whole
from service.infra.settings.worker import WorkerSettings
from service.infra.tracing import Tracer
from service.jobs.records import ProgressCount, State
from service.jobs.redis_keys import new_id
from service.schemas.documents import ErrorCode, Status
from service.schemas.evidence import Evidence
from service.schemas.fingerprint import ModelRef, model_ref
from service.schemas.requests import Fit, Grid, Labels, Method, Outputs, Pixels
from service.schemas.results import Rectangle
from tests.chaos.sleeping_model import SleepingModel, SleepingRegistry
from tests.tiny import SPEC
from worker.adapters.recompute import recompute
from worker.engine.explanation import ExplanationRun
from worker.explain_job import Explainer
from worker.interruptions import JobControl
from worker.models.registry import read_registry
from worker.task import Task, TaskResult


def begun(store: Store, max_evals: int, size: tuple[int, int] = (16, 24), **chosen: object) -> Task:
    """Begin an explanation by the smaller model, with its picture in the store."""
    picture = io.BytesIO()
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(picture, "PNG")
    chosen |= {"model": "dozer", "max_evals": max_evals}
    settings = SPEC.settings.model_copy(update=chosen)
    sent = Artifact.of(picture.getvalue())
    image = SPEC.image.model_copy(update={"sha256": sent.sha256, "bytes": sent.size})
    model = model_ref("dozer", SleepingRegistry(step_s=0).get("dozer").card.parts, settings.fit)
    spec = SPEC.model_copy(update={"settings": settings, "image": image, "model": model})
    now = time.time()
    state = State(
        id=new_id(),
        version=2,
        status=Status.RUNNING,
        owner=None,
        created_at=now,
        started_at=now,
        finished_at=None,
        expires_at=None,
        attempts=1,
        spec=spec,
        progress=ProgressCount(0, 0),
        outcome=None,
        result=None,
        artifacts=None,
        error=None,
        cached_from=None,
    )
    store.put(image_key(state.id), picture.getvalue())
    return Task(state, "attempt", JobControl(deadline_s=600))


class NanModel(SleepingModel):
    """A model that fails only after it was loaded: its scores are NaN."""

    def __call__(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        return super().__call__(pictures) * np.nan


def held() -> int:
    """Count the explanations that are in memory with their arrays."""
    gc.collect()
    return sum(isinstance(each, ExplanationRun) for each in gc.get_objects())


def test_ended_explanations_are_freed_while_others_run() -> None:
    store = open_store("memory:")
    tasks = [begun(store, max_evals) for max_evals in range(50, 350, 50)]  # to end one by one
    before = held()
    explainer = Explainer(SleepingRegistry(step_s=0), store, WorkerSettings(), Tracer())  # type: ignore[arg-type]
    left = []
    for _, ending in explainer.explain(tasks):
        assert isinstance(ending, TaskResult)
        assert ending.status is Status.SUCCEEDED
        left.append(held() - before)
    assert left[-1] <= 2


def test_nan_is_a_failure_of_the_model() -> None:
    store, model = open_store("memory:"), SleepingRegistry(step_s=0).get("dozer")
    models = {"dozer": replace(model, predictor=NanModel(model.predictor.input_shape, step_s=0))}
    explainer = Explainer(models, store, WorkerSettings(), Tracer())  # type: ignore[arg-type]
    [(_, ending)] = explainer.explain([begun(store, max_evals=50)])
    assert isinstance(ending, TaskResult)
    assert ending.error
    assert ending.error.code is ErrorCode.MODEL_FAILED


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        ({"superpixels": Grid(kind="grid", rows=17, columns=1)}, "settings.superpixels"),
        ({"outputs": Outputs(labels=["a llama"])}, "settings.outputs"),
    ],
)
def test_an_error_caused_by_settings_is_reported_as_such(
    chosen: dict[str, object], field: str
) -> None:
    explainer = Explainer(
        SleepingRegistry(step_s=0), store := open_store("memory:"), WorkerSettings(), Tracer()
    )  # type: ignore[arg-type]
    [(_, ending)] = explainer.explain([begun(store, 50, **chosen)])
    assert isinstance(ending, TaskResult)
    assert ending.error
    assert (ending.error.code, ending.error.field) == (ErrorCode.INVALID_SETTINGS, field)


def test_an_error_that_no_request_can_cause_is_internal() -> None:
    """The API accepts no superpixels of a label map that it has not stored."""
    explainer = Explainer(
        SleepingRegistry(step_s=0), store := open_store("memory:"), WorkerSettings(), Tracer()
    )  # type: ignore[arg-type]
    with capture_logs() as lines:
        [(_, ending)] = explainer.explain([begun(store, 50, superpixels=Labels(kind="labels"))])
    assert isinstance(ending, TaskResult)
    assert ending.error
    assert ending.error.code is ErrorCode.INTERNAL
    assert "label map" not in ending.error.detail
    assert [line["event"] for line in lines] == ["unexpected error"]


def test_an_explanation_that_is_too_large_is_refused_before_it_begins() -> None:
    """The API rejects this request; its job is forged, or older than the limit."""
    store, settings = open_store("memory:"), WorkerSettings(max_values=16 * 24 * 3 + 99)
    explainer = Explainer(SleepingRegistry(step_s=0), store, settings, Tracer())  # type: ignore[arg-type]
    endings = [ending for _, ending in explainer.explain([begun(store, n) for n in (100, 99)])]
    refused, explained = endings
    assert isinstance(refused, TaskResult)
    assert refused.error
    assert refused.error.code is ErrorCode.INVALID_SETTINGS
    assert "1252" in refused.error.detail
    assert isinstance(explained, TaskResult)
    assert explained.status is Status.SUCCEEDED


def test_explanations_run_together_only_if_they_fit_in_memory() -> None:
    store, settings = open_store("memory:"), WorkerSettings(max_values=2 * (16 * 24 * 3 + 300))
    explainer = Explainer(SleepingRegistry(step_s=0), store, settings, Tracer())  # type: ignore[arg-type]
    tasks = [begun(store, max_evals) for max_evals in (100, 150, 200, 250, 300)]
    under_way = []
    for _, ending in explainer.explain(tasks):
        assert isinstance(ending, TaskResult)
        assert ending.status is Status.SUCCEEDED
        under_way.append(sum(task.control.count.planned > 0 for task in tasks))
    assert under_way == [2, 2, 4, 4, 5]


@pytest.mark.parametrize("method", ["partition", "permutation"])
def test_padding_has_the_maskers_fill_and_no_credit(method: Method) -> None:
    """A photo of 40 x 10 in a model's 16 x 24 fills 6 columns from the tenth on."""
    store = open_store("memory:")
    task = begun(
        store, 300, (40, 10), fit="pad", masker="constant(7,8,9)", method=method,
        superpixels=Grid(kind="grid", rows=2, columns=3), outputs=Outputs(indices=[0, 2]),
    )  # fmt: skip
    explainer = Explainer(SleepingRegistry(step_s=0), store, WorkerSettings(), Tracer())  # type: ignore[arg-type]
    [(_, ending)] = explainer.explain([task])
    assert isinstance(ending, TaskResult)
    assert ending.outcome
    assert ending.artifacts
    assert ending.outcome.crop == Rectangle(left=0, top=0, right=10, bottom=40)
    assert ending.outcome.placement == Rectangle(left=10, top=0, right=14, bottom=16)
    assert ending.outcome.players == 6
    assert ending.artifacts.shape == (16, 24, 3, 2)
    npz = store.get(attributions_key(task.state.id, task.attempt))
    with np.load(io.BytesIO(npz)) as arrays:
        inside = np.zeros((16, 24), bool)
        inside[:, 10:14] = True
        assert (arrays["data"][~inside] == [7, 8, 9]).all()
        assert (arrays["data"][inside] == 90).all()
        assert not arrays["values"][~inside].any()
        assert arrays["values"].shape == (16, 24, 3, 2)
        share = inside.mean() / 255  # the model's scores are the means of colours, in 0..1
        np.testing.assert_allclose(
            arrays["values"].sum(axis=(0, 1, 2)), [83 * share, 81 * share], rtol=1e-5
        )
        assert set(np.unique(arrays["players"][inside])) == set(range(6))
        assert (arrays["players"][~inside] == -1).all()
        if method == "permutation":
            assert not arrays["standard_errors"][~inside].any()


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize(
    ("method", "superpixels"),
    [
        ("partition", Pixels(kind="pixels")),
        ("partition", Grid(kind="grid", rows=3, columns=4)),
        ("kernel", Grid(kind="grid", rows=3, columns=4)),
    ],
)
def test_the_values_follow_from_the_evidence_without_the_model(
    method: Method, superpixels: Pixels | Grid, fit: Fit
) -> None:
    store = open_store("memory:")
    task = begun(
        store, 100, (40, 30), fit=fit, method=method, superpixels=superpixels,
        outputs=Outputs(indices=[0, 2]), metrics=["deletion"],
    )  # fmt: skip
    explainer = Explainer(SleepingRegistry(step_s=0), store, WorkerSettings(), Tracer())  # type: ignore[arg-type]
    [(_, ending)] = explainer.explain([task])
    assert isinstance(ending, TaskResult)
    assert ending.outcome
    assert ending.artifacts
    assert ending.artifacts.evidence
    content = read_whole(
        store, evidence_key(task.state.id, task.attempt), ending.artifacts.evidence
    )
    arrays = np.load(io.BytesIO(store.get(attributions_key(task.state.id, task.attempt))))
    assert task.state.spec
    again = recompute(
        task.state.spec.settings, ending.outcome, Evidence.model_validate_json(content), arrays
    )
    assert again.values.tobytes("F") == arrays["values"].tobytes("F")
    assert again.region_values is not None
    assert again.region_values.tobytes() == arrays["region_values"].tobytes()
    assert again.curves
    assert [curve.area for curve in again.curves] == [m.area for m in ending.outcome.metrics]


def test_a_model_that_has_changed_since_the_request_is_refused() -> None:
    """For example its file was repaired and a worker restarted while the explanation waited."""
    store, model = open_store("memory:"), SleepingRegistry(step_s=0).get("dozer")
    assert model.card.parts
    parts = model.card.parts.model_copy(update={"weights": "sha256:" + "0" * 64})
    changed = model_ref("dozer", parts, "crop")
    models = {"dozer": replace(model, card=model.card.model_copy(update={"parts": parts}))}
    explainer = Explainer(models, store, WorkerSettings(), Tracer())  # type: ignore[arg-type]
    [(task, ending)] = explainer.explain([begun(store, max_evals=50)])
    assert isinstance(ending, TaskResult)
    assert ending.error
    assert ending.error.code is ErrorCode.MODEL_CHANGED
    assert "which differs in weights: send the request again" in ending.error.detail
    assert task.state.spec
    for fingerprint in (task.state.spec.model.fingerprint, changed.fingerprint):
        assert fingerprint
        assert fingerprint in ending.error.detail


def test_a_job_for_a_model_that_failed_to_load_fails_with_the_reason(
    tmp_path: Path,
) -> None:
    """It was accepted while the model, which had been served before, was loading."""
    (tmp_path / "models.toml").write_text('[models.dozer]\nfile = "gone.keras"\n')
    registry = read_registry(tmp_path / "models.toml", weights_cache=None)
    store = open_store("memory:")
    explainer = Explainer(registry, store, WorkerSettings(), Tracer())
    [(_, ending)] = explainer.explain([begun(store, max_evals=50)])
    assert isinstance(ending, TaskResult)
    assert ending.error
    assert ending.error.code is ErrorCode.MODEL_UNAVAILABLE
    assert ending.error.detail == "model dozer: gone.keras is not a file"


def test_the_outcome_names_the_model_that_computed_it() -> None:
    """Also if the request was accepted before any worker had announced the model."""
    store = open_store("memory:")
    explainer = Explainer(SleepingRegistry(step_s=0), store, WorkerSettings(), Tracer())  # type: ignore[arg-type]
    task = begun(store, max_evals=50)
    assert task.state.spec
    unknown = ModelRef(name="dozer", fingerprint=None, parts=None)
    spec = task.state.spec.model_copy(update={"model": unknown})
    task = replace(task, state=replace(task.state, spec=spec))
    [(_, ending)] = explainer.explain([task])
    assert isinstance(ending, TaskResult)
    assert ending.outcome
    served = SleepingRegistry(step_s=0).get("dozer").card
    assert ending.outcome.model == model_ref("dozer", served.parts, "crop")
    npz = read_npz(store.get(attributions_key(task.state.id, task.attempt)))
    assert npz.model == ending.outcome.model


def test_a_damaged_upload_is_reported_and_not_explained() -> None:
    store = open_store("memory:")
    task = begun(store, max_evals=50)
    key = image_key(task.state.id)
    store.put(key, store.get(key)[:-1])
    explainer = Explainer(SleepingRegistry(step_s=0), store, WorkerSettings(), Tracer())  # type: ignore[arg-type]
    with capture_logs() as lines:
        [(_, ending)] = explainer.explain([task])
    assert isinstance(ending, TaskResult)
    assert ending.error
    assert ending.error.code is ErrorCode.STORE_UNAVAILABLE
    assert "bytes; expected" in ending.error.detail
    assert [line["cause"] for line in lines if key in line.get("cause", "")]
