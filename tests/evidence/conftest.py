"""Explanations that the engine really computes, and their bundles from a real API."""

import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from PIL import Image

from service.api.app import create_app
from service.api.evidence.sealer import RecordSealer
from service.api.services import ProcessServices
from service.evidence.keys import SigningKey
from service.infra.artifact_store import Store
from service.infra.settings.api import ApiSettings
from service.infra.settings.worker import WorkerSettings
from service.infra.tracing import Tracer
from service.jobs.store_identity import compare_store
from service.jobs.worker_registry import announce
from tests.chaos.sleeping_model import SleepingRegistry
from tests.ledger import Ledger
from worker.explain_job import Explainer
from worker.interruptions import JobControl
from worker.task import Task, TaskResult

URL = "/v1/explanations"
GRID = {"kind": "grid", "rows": 3, "columns": 4}


def gradient() -> bytes:
    """A PNG of 40 x 30 pixels of which no two rows or columns are alike."""
    rows, columns = np.indices((30, 40))
    pixels = np.stack([rows * 8, columns * 6, rows * columns // 5], axis=2).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@dataclass
class Signed:
    """The app with a signing key, and a worker that is run when a test says so."""

    api: httpx.AsyncClient
    key: SigningKey
    ledger: Ledger
    explainer: Explainer
    registry: SleepingRegistry
    sealer: RecordSealer

    async def explain(self, **settings: Any) -> str:
        """Ask for an explanation and compute it; its id."""
        asked = {"model": "dozer", "method": "kernel", "superpixels": GRID, "max_evals": 100}
        files = {"image": ("g.png", gradient()), "settings": (None, json.dumps(asked | settings))}
        answer = await self.api.post(URL, files=files, headers={"Cache-Control": "no-cache"})
        assert answer.status_code == 202, answer.text
        return self.compute(str(answer.json()["id"]))

    def compute(self, id_: str) -> str:
        """Compute a queued explanation; its id."""
        attempt = self.ledger.begin(id_)
        state = self.ledger.read(id_)
        assert attempt
        assert state
        task = Task(state, attempt, JobControl(deadline_s=600))
        [(_, ending)] = self.explainer.explain([task])
        assert isinstance(ending, TaskResult)
        assert ending.outcome, ending
        self.ledger.finish(
            id_, attempt, ending.status, outcome=ending.outcome, artifacts=ending.artifacts
        )
        return id_

    async def bundle(self, **settings: Any) -> bytes:
        id_ = await self.explain(**settings)
        answer = await self.api.get(f"{URL}/{id_}/bundle.zip")
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture
def open_signed(
    settings: ApiSettings, ledger: Ledger, store: Store, connection: redis.Redis
) -> Callable[..., Any]:
    @asynccontextmanager
    async def opened(folder: Path, **changed: Any) -> AsyncIterator[Signed]:
        registry = SleepingRegistry(step_s=0)
        announce(connection, "worker", registry.cards(), lease_s=600)
        compare_store(connection, store)
        key = SigningKey.create(folder / "key.pem")
        explainer = Explainer(registry, store, WorkerSettings(), Tracer())  # type: ignore[arg-type]
        services = ProcessServices.of(
            settings.model_copy(update={"signing_key_file": folder / "key.pem", **changed})
        )
        assert services.sealer
        app = create_app(services)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as api,
        ):
            yield Signed(api, key, ledger, explainer, registry, services.sealer)

    return opened


@pytest.fixture
async def signed(open_signed: Callable[[Path], Any], tmp_path: Path) -> AsyncIterator[Signed]:
    async with open_signed(tmp_path) as found:
        yield found
