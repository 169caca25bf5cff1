"""Artifacts unknown to Redis are removed once they are older than any retention."""

import os
import time

import pytest
import redis
from structlog.testing import capture_logs

from service.infra.artifact_store import MARKER_KEY, Store, attributions_key, image_key
from service.infra.settings.api import ApiSettings
from service.jobs.orphan_sweep import TURN_KEY, OrphanSweep
from service.jobs.records import JobSpec
from service.jobs.redis_keys import new_id
from service.jobs.store_identity import IDENTITY, StoreIdentity
from tests.ledger import Ledger

OLD_S = 8 * 86400


@pytest.fixture
def sweep(connection: redis.Redis, store: Store, settings: ApiSettings) -> OrphanSweep:
    identity = StoreIdentity(connection, store)
    identity.look()
    return OrphanSweep(connection, store, identity, settings)


@pytest.fixture
def keep(store: Store, tmp_path):
    """Stores an artifact of this age; returns its path."""

    def put(key: str, age_s: float = OLD_S):
        store.put(key, b"something")
        path = tmp_path / "store" / key
        os.utime(path, (time.time() - age_s,) * 2)
        return path

    return put


def look_through(sweep: OrphanSweep) -> list[str]:
    """Completes a pass; returns its log lines."""
    with capture_logs() as lines:
        while sweep.step():
            pass
    return [line["event"] for line in lines]


def test_only_old_unknown_artifacts_are_removed(
    sweep: OrphanSweep, keep, ledger: Ledger, spec: JobSpec, tmp_path
):
    accepted, announced, lost = new_id(), new_id(), new_id()
    ledger.accept(accepted, spec, timeout_s=60)
    ledger.reserve(announced)
    os.utime(tmp_path / "store" / MARKER_KEY, (0, 0))
    gone = [keep(image_key(lost)), keep(attributions_key(lost, "attempt"))]
    stays = [
        keep(image_key(accepted)),
        keep(image_key(announced)),
        keep(image_key(new_id()), age_s=OLD_S - 3 * 86400),
        tmp_path / "store" / MARKER_KEY,
        keep("explanations/of-somebody-else/image"),
        keep("elsewhere/image"),
    ]
    assert look_through(sweep) == 2 * ["orphan removed"]
    assert [path.exists() for path in gone] == [False, False]
    assert all(path.exists() for path in stays)
    assert not gone[0].parent.exists()


@pytest.mark.parametrize("ours", [None, "another"])
def test_nothing_is_removed_if_redis_and_the_store_do_not_belong_together(
    sweep: OrphanSweep, keep, connection: redis.Redis, ours: str | None
):
    """For example after a FLUSHALL: a backup may restore what Redis knew."""
    stored = keep(image_key(new_id()))
    connection.delete(IDENTITY)
    if ours:
        connection.hset(IDENTITY, mapping={"set": ours, "stored": ours})
    look_through(sweep)
    assert stored.exists()


def test_one_worker_at_a_time_sweeps_orphans_at_intervals(
    sweep: OrphanSweep, keep, connection: redis.Redis, store: Store, settings: ApiSettings
):
    stored = keep(image_key(new_id()))
    other = OrphanSweep(connection, store, StoreIdentity(connection, store), settings)
    assert sweep.step()
    assert not other.step()
    assert not stored.exists()
    assert not look_through(sweep)
    late = keep(image_key(new_id()))
    assert not look_through(other)
    assert late.exists()
    assert 0 < connection.ttl(TURN_KEY) <= 3600
    connection.delete(TURN_KEY)  # an hour later
    look_through(other)
    assert not late.exists()


def test_an_interrupted_orphan_sweep_is_repeated_later(
    sweep: OrphanSweep, keep, connection: redis.Redis, tmp_path
):
    stored = keep(image_key(new_id()))
    explanations = tmp_path / "store" / "explanations"
    explanations.rename(tmp_path / "away")
    explanations.write_text("no folder")
    look_through(sweep)
    explanations.unlink()
    (tmp_path / "away").rename(explanations)
    connection.delete(TURN_KEY)
    look_through(sweep)
    assert not stored.exists()
