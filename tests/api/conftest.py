"""The app in this process, with a real Redis and store, and a fake worker."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
import redis
from fastapi import FastAPI, Request
from starlette.routing import BaseRoute
from structlog.testing import capture_logs

from service.api.app import create_app
from service.api.services import ProcessServices
from service.infra.artifact_store import Store, attributions_key, evidence_key, faithfulness_key
from service.infra.artifacts import Artifact, AttemptArtifacts
from service.infra.result_arrays import pack_arrays
from service.infra.settings.api import ApiSettings
from service.jobs.records import Answer, ProgressCount, State
from service.jobs.store_identity import compare_store
from service.jobs.worker_registry import announce
from service.schemas.documents import Failure, Status
from service.schemas.models import ModelCard
from service.schemas.requests import Metric
from service.schemas.results import (
    Curve,
    Faithfulness,
    MetricArea,
    Outcome,
    Rectangle,
    Runtime,
    Timings,
)
from service.schemas.warnings import ResultWarning
from tests.evidence.states import some_evidence
from tests.ledger import Ledger
from tests.tiny import MODEL, PARTS, output_result

T = TypeVar("T")

EXPLAINED = {0: "ant", 2: "crane"}  # output: label


class FakeWorker:
    """Changes the ledger and the store as a worker does, when a test calls it."""

    def __init__(self, ledger: Ledger, store: Store, connection: redis.Redis) -> None:
        self.ledger = ledger
        self._store = store
        self._redis = connection

    def announce(self, *cards: ModelCard, lease_s: int = 600) -> None:
        announce(self._redis, "hand", cards, lease_s=lease_s)

    def begin(self, explanation_id: str) -> str:
        attempt = self.ledger.begin(explanation_id)
        assert attempt
        return attempt

    def succeed(self, explanation_id: str, **found: Any) -> State:
        return self.end(explanation_id, self.begin(explanation_id), Status.SUCCEEDED, **found)

    def end(
        self,
        explanation_id: str,
        attempt: str,
        status: Status,
        *,
        arrays: dict[str, Any] | None = None,
        explained: Mapping[int, str] = EXPLAINED,
        curves: Sequence[Curve] = (),
        warnings: Sequence[ResultWarning] = (),
    ) -> State:
        """Ends the explanation with a result."""
        arrays = arrays or some_arrays()
        npz, blocks = pack_arrays(arrays)
        self._store.put(attributions_key(explanation_id, attempt), npz)
        faithfulness = None
        if curves:
            content = Faithfulness(curves=list(curves)).model_dump_json().encode()
            self._store.put(faithfulness_key(explanation_id, attempt), content)
            faithfulness = Artifact.of(content)
        evidence = some_evidence(len(explained)).model_dump_json().encode()
        self._store.put(evidence_key(explanation_id, attempt), evidence)
        stored = AttemptArtifacts(
            shape=arrays["values"].shape,
            attributions=Artifact.of(npz),
            blocks=blocks,
            faithfulness=faithfulness,
            evidence=Artifact.of(evidence),
        )
        self.ledger.finish(
            explanation_id,
            attempt,
            status,
            outcome=some_outcome(
                explained,
                partial=status is Status.CANCELED,
                curves=curves,
                warnings=warnings,
                regions=len(arrays["region_values"]) if "region_values" in arrays else None,
            ),
            artifacts=stored,
            count=ProgressCount(96, 100),  # a method may need fewer than planned
        )
        return self.read(explanation_id)

    def fail(self, explanation_id: str, failure: Failure) -> State:
        attempt = self.begin(explanation_id)
        self.ledger.finish(explanation_id, attempt, Status.FAILED, error=failure)
        return self.read(explanation_id)

    def answer(self, scores_id: str, answer: Answer) -> State:
        """Ends a job for coalitions with this answer."""
        attempt = self.begin(scores_id)
        self.ledger.finish(scores_id, attempt, Status.SUCCEEDED, answer=answer)
        return self.read(scores_id)

    async def answering(self, request: Coroutine[Any, Any, T], answer: Answer) -> T:
        """Sends a request for coalitions that is answered while it waits; returns the response."""
        response = asyncio.create_task(request)
        while not response.done():
            for id_ in self._redis.lrange("rq:queue:test", 0, -1):
                if id_.startswith(b"scr_"):
                    self.answer(id_.decode(), answer)
            await asyncio.sleep(0.01)
        return await response

    def read(self, explanation_id: str) -> State:
        state = self.ledger.read(explanation_id)
        assert state
        return state


def some_arrays() -> dict[str, Any]:
    """Arrays as the worker stores them: 8 x 12 pixels, 3 channels, the outputs of EXPLAINED."""
    random = np.random.default_rng(0)
    return {
        "values": random.normal(size=(8, 12, 3, len(EXPLAINED))).astype(np.float32),
        "base_values": np.array([0.125, 0.25]),
        "data": random.uniform(0, 255, (8, 12, 3)).astype(np.float32),
        "output_names": np.array(list(EXPLAINED.values())),
        "output_indices": np.array(list(EXPLAINED)),
        "model_name": np.array(MODEL.name),
        "model_fingerprint": np.array(MODEL.fingerprint),
        "model_parts": np.array(PARTS.model_dump_json()),
    }


def some_regions() -> dict[str, Any]:
    """Six regions with the values of some_arrays, in two rows, with errors and intervals."""
    labels = np.arange(8)[:, np.newaxis] // 4 * 3 + np.arange(12) // 4  # (8, 12)
    values = some_arrays()["values"].astype(np.float64).sum(axis=2)  # (8, 12, K)
    of_regions = np.array([values[labels == region].sum(axis=0) for region in range(6)])
    errors = np.abs(of_regions) / 4
    return {
        "regions": labels.astype(np.int32),
        "region_players": np.full(6, 48),
        "region_values": of_regions,
        "region_standard_errors": errors,
        "region_low": of_regions - 2 * errors,
        "region_high": of_regions + 2 * errors,
    }


def some_interactions() -> dict[str, Any]:
    """All 15 pairs of the regions of some_regions, with errors and intervals."""
    values = np.random.default_rng(1).normal(size=(15, 2))
    alone = np.random.default_rng(2).normal(size=(6, 2))
    return {
        "interaction_pairs": np.array(list(combinations(range(6), 2))),
        "interaction_values": values,
        "interaction_standard_errors": np.abs(values) / 4,
        "interaction_low": values - np.abs(values) / 2,
        "interaction_high": values + np.abs(values) / 2,
        "alone_values": alone,
        "alone_standard_errors": np.abs(alone) / 4,
        "alone_low": alone - np.abs(alone) / 2,
        "alone_high": alone + np.abs(alone) / 2,
    }


def arrays_of(*shape: int) -> dict[str, Any]:
    """Returns arrays like these in another shape (H, W, C, K)."""
    H, W, C, K = shape
    random = np.random.default_rng(0)
    return {
        "values": random.normal(size=shape).astype(np.float32),
        "base_values": np.zeros(K),
        "data": np.zeros((H, W, C), np.float32),
        "output_names": np.array([str(index) for index in range(K)]),
        "output_indices": np.arange(K),
    }


def some_curves(*metrics: Metric) -> list[Curve]:
    """Curves of each metric for each output of EXPLAINED."""
    return [
        Curve(
            metric=metric,
            output=index,
            label=label,
            area=0.25,
            baseline_area=0.125,
            x=[0.0, 0.5, 1.0],
            y=[0.125, 0.5, 0.5],
            baseline=[0.125, 0.25, 0.5],
        )
        for metric in metrics
        for index, label in EXPLAINED.items()
    ]


def some_outcome(
    explained: Mapping[int, str] = EXPLAINED,
    *,
    partial: bool = False,
    curves: Sequence[Curve] = (),
    warnings: Sequence[ResultWarning] = (),
    regions: int | None = None,
) -> Outcome:
    """The outcome for a 60 x 40 photo, cropped to the model's 12 : 8 (all of it)."""
    return Outcome(
        model=MODEL,
        partial=partial,
        solution_concept="Owen values",
        evaluations=96,
        players=288,
        region_count=regions,
        unresolved=0.03125,
        outputs=[output_result(index, label) for index, label in explained.items()],
        efficiency_gap=0.0,
        target_reached=None,
        warnings=list(warnings),
        metrics=[_area_of(curve) for curve in curves],
        crop=Rectangle(left=0, top=0, right=60, bottom=40),
        placement=Rectangle(left=0, top=0, right=12, bottom=8),
        runtime=Runtime(backend="none", device="cpu", dtype="float32", versions={}),
        timings=Timings(queued_s=0, prepare_s=0, engine_s=0, masking_s=0, model_s=0, store_s=0),
    )


def _area_of(curve: Curve) -> MetricArea:
    return MetricArea.model_validate(curve.model_dump(include=set(MetricArea.model_fields)))


_routes: list[BaseRoute] = []  # of the first app of this process


def new_app(services: ProcessServices) -> FastAPI:
    """The app with the routes of the first one, which FastAPI takes a tenth of a second to build.

    The guard of its app is a part of a route; here each request is admitted by that of its own app.
    """
    app = create_app(services)
    if not _routes:
        _routes.extend(app.router.routes)
        app.dependency_overrides[services.guard.admit] = _admit
        app.dependency_overrides[services.guard.admit_keeper] = _admit_keeper
        app.dependency_overrides[services.guard.admit_reader] = _admit_reader
        app.dependency_overrides[services.guard.admit_auditor] = _admit_auditor
    app.router.routes[:] = _routes
    return app


async def _admit(request: Request) -> None:
    await request.app.state.services.guard.admit(request)


async def _admit_keeper(request: Request) -> None:
    await request.app.state.services.guard.admit_keeper(request)


async def _admit_reader(request: Request) -> None:
    await request.app.state.services.guard.admit_reader(request)


async def _admit_auditor(request: Request) -> None:
    await request.app.state.services.guard.admit_auditor(request)


@asynccontextmanager
async def running(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Opens a client of the app, started with these settings."""
    app = new_app(ProcessServices.of(settings))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


@pytest.fixture
def start() -> Callable[..., Any]:
    """Starts the app with other settings: `async with start(settings) as api`."""
    return running


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """The file of keys that `issue` writes and settings name; missing until then."""
    return tmp_path / "keys.jsonl"


@pytest.fixture
async def api(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """The app without a worker."""
    async with running(settings) as client:
        yield client


@pytest.fixture
def fake_worker(ledger: Ledger, store: Store, connection: redis.Redis) -> FakeWorker:
    return FakeWorker(ledger, store, connection)


@pytest.fixture
def new_fake_worker() -> type[FakeWorker]:
    """Makes fake workers on another Redis."""
    return FakeWorker


@pytest.fixture
async def served(
    api: httpx.AsyncClient,
    fake_worker: FakeWorker,
    new_card: Callable[..., ModelCard],
    connection: redis.Redis,
    store: Store,
) -> Any:
    """The app with one model, `tiny`, served by a worker; Redis and the store belong together."""
    fake_worker.announce(new_card())
    compare_store(connection, store)
    return api


@pytest.fixture
def ask(served: httpx.AsyncClient, photo: bytes) -> Callable[..., Any]:
    """Requests an explanation with these settings; returns the response."""

    async def post(
        picture: bytes = photo,
        *,
        api: httpx.AsyncClient = served,
        headers: dict[str, str] | None = None,
        label_map: bytes | None = None,
        **settings: Any,
    ) -> httpx.Response:
        files: dict[str, Any] = {"image": ("photo.png", picture)}
        files["settings"] = (None, json.dumps(settings))
        if label_map is not None:
            files["label_map"] = ("labels", label_map)
        return await api.post("/v1/explanations", files=files, headers=headers)

    return post


@pytest.fixture
def create(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Creates an explanation that is queued, never answered from the cache; returns its id."""

    async def post(**settings: Any) -> str:
        answer = await ask(headers={"Cache-Control": "no-cache"}, **settings)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    return post


@pytest.fixture
async def poisoned(served: Any) -> AsyncIterator[str]:
    """A path whose handler raises an unexpected error."""

    async def fail() -> None:
        raise ArithmeticError("secret")

    served._transport.app.add_api_route("/poisoned", fail)
    with capture_logs():  # a printed traceback would show all locals
        yield "/poisoned"


@pytest.fixture
def some_other_arrays() -> dict[str, Any]:
    """Arrays of the same shapes with other values."""
    arrays = some_arrays()
    return arrays | {"values": -arrays["values"]}


@pytest.fixture
def refused() -> Callable[..., dict[str, Any]]:
    """Checks that the response is a complete problem with this code; returns the problem."""

    def check(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        problem: dict[str, Any] = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), answer.text
        assert problem["status"] == status
        assert problem["type"] == f"urn:shapshot:problem:{code}"
        assert set(problem) == {
            "type",
            "title",
            "status",
            "code",
            "detail",
            "field",
            "received",
            "accepted",
        }
        return problem

    return check
