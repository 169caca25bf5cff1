"""If Redis and the store do not belong together, the API reports it and writes nothing."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.infra.artifact_store import MARKER_KEY, open_store
from service.infra.settings.api import ApiSettings
from service.jobs import store_identity


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(autouse=True)
def looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_identity, "MAX_AGE_S", 0)
    monkeypatch.setattr(store_identity, "RETRY_S", 0)


async def test_a_redis_that_lost_its_data_is_reported_and_serves(
    served, ask, fake_worker, new_card, connection, refused
):
    assert (await served.get("/healthz/ready")).status_code == 200
    connection.flushall()
    fake_worker.announce(new_card())
    problem = refused(await served.get("/healthz/ready"), 503, "data_lost")
    assert "Redis has lost its data" in problem["detail"]
    assert "shapshot adopt" in problem["detail"]
    assert await mismatches(served) == {"redis_lost": 1, "store_lost": 0, "different": 0}
    assert (await ask()).status_code == 202


async def test_a_store_that_lost_its_data_is_reported_and_not_written(
    served, ask, refused, store_folder, connection
):
    assert (await ask()).status_code == 202
    shutil.rmtree(store_folder)
    store_folder.mkdir()
    known = connection.dbsize()
    problem = refused(await ask(), 503, "store_unavailable")
    assert MARKER_KEY in problem["detail"]
    refused(await served.get("/healthz/ready"), 503, "store_unavailable")
    assert await mismatches(served) == {"redis_lost": 0, "store_lost": 1, "different": 0}
    assert not list(store_folder.rglob("*"))
    assert connection.dbsize() == known


async def test_a_store_of_another_set_is_reported_and_not_written(
    served, ask, refused, store_folder, tmp_path
):
    await ask()
    other = open_store(f"file:{tmp_path}/other")
    other.put(MARKER_KEY, b'{"set": "another"}')
    shutil.rmtree(store_folder)
    (tmp_path / "other").rename(store_folder)
    refused(await ask(), 503, "store_unavailable")
    refused(await served.get("/healthz/ready"), 503, "store_unavailable")
    assert await mismatches(served) == {"redis_lost": 0, "store_lost": 0, "different": 1}


async def test_once_the_data_is_back_the_service_recovers(
    served, ask, refused, store_folder, tmp_path
):
    await ask()
    away = store_folder.rename(tmp_path / "away")
    refused(await ask(), 503, "store_unavailable")
    shutil.rmtree(store_folder, ignore_errors=True)
    away.rename(store_folder)
    assert (await ask()).status_code == 202
    assert (await served.get("/healthz/ready")).status_code == 200
    assert set((await mismatches(served)).values()) == {0}


@pytest.mark.parametrize("lost", ["Redis", "the store"])
async def test_a_loss_can_be_accepted(
    served, ask, fake_worker, new_card, connection, settings, monkeypatch, store_folder, lost
):
    await ask()
    if lost == "Redis":
        connection.flushall()
        fake_worker.announce(new_card())
    else:
        shutil.rmtree(store_folder)
    assert (await served.get("/healthz/ready")).status_code == 503
    declined = adopt(monkeypatch, settings, answer="n")
    assert declined.exit_code == 1
    assert lost in declined.output
    assert (await served.get("/healthz/ready")).status_code == 503
    assert adopt(monkeypatch, settings, "--yes").exit_code == 0
    assert (await served.get("/healthz/ready")).status_code == 200
    assert (await ask()).status_code == 202
    again = adopt(monkeypatch, settings)
    assert again.exit_code == 0
    assert "nothing to accept" in again.output


def test_without_redis_nothing_can_be_adopted(monkeypatch, settings):
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    ended = adopt(monkeypatch, nowhere, "--yes")
    assert ended.exit_code == 1
    assert "127.0.0.1:1" in ended.output


def adopt(monkeypatch, settings: ApiSettings, *options: str, answer: str = ""):
    monkeypatch.setenv("SHAPSHOT_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("SHAPSHOT_STORE_URL", settings.store_url)
    return CliRunner().invoke(app, ["adopt", *options], input=answer)


async def mismatches(api) -> dict[str, float]:
    """Returns the metric of mismatches, by reason."""
    lines = (await api.get("/metrics")).text.splitlines()
    name = "shapshot_data_mismatch{reason="
    found = [line.removeprefix(name).split() for line in lines if line.startswith(name)]
    return {reason.strip('"}'): float(value) for reason, value in found}
