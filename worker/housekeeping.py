"""Background chores of every worker: announce it, requeue lost jobs, sweep the store."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import redis
import structlog
from rq.worker_registration import clean_worker_registry

from service.infra.artifact_store import Store
from service.infra.settings.worker import WorkerSettings
from service.jobs.index_repair import IndexRepair
from service.jobs.maintenance import Maintenance
from service.jobs.orphan_sweep import OrphanSweep
from service.jobs.redis_errors import outage_reason
from service.jobs.rq_adapter import Queue
from service.jobs.store_identity import StoreIdentity
from service.jobs.sweep import sweep_due
from service.jobs.worker_registry import announce, deregister
from service.schemas.models import ModelCard, ModelStatus

log = structlog.get_logger(__name__)


def show_alive(file: Path) -> None:
    """Set a file's modification time from the monotonic clock, which is never adjusted.

    Works on a full disk, too, once the file exists.

    Raises OSError.
    """
    if not file.exists():
        file.touch()
    now = time.monotonic()
    os.utime(file, (now, now))


class Housekeeping:
    """Two threads that run the chores several times per lease; safe beside other workers'.

    One announces this worker and uses Redis only. The other sweeps the store, which may hang.
    """

    def __init__(
        self,
        name: str,
        connection: redis.Redis,
        maintenance: Maintenance,
        store: Store,
        settings: WorkerSettings,
        cards: Callable[[], Sequence[ModelCard]],
    ) -> None:
        self._name = name
        self._redis = connection
        self._maintenance = maintenance
        self._store = store
        self._settings = settings
        self._cards = cards
        self.identity = StoreIdentity(connection, store)
        self._reap_from = 0.0  # time.monotonic()
        self._index_repair = IndexRepair(connection)
        self._orphans = OrphanSweep(connection, store, self.identity, settings)
        self._woken, self._ended = threading.Event(), threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._sweeper = threading.Thread(target=self._run_sweeps, name="sweeping", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._sweeper.start()

    def wake(self) -> None:
        """Run the chores now, as a model's card has changed."""
        self._woken.set()

    def stop(self) -> None:
        """Stop both threads and deregister this worker."""
        self._stopped = True
        self._ended.set()
        self._woken.set()
        self._thread.join()
        self._sweeper.join(timeout=1)  # may hang in the store; it is a daemon thread
        try:
            deregister(self._redis, self._name)
        except redis.RedisError as error:
            log.warning("worker not deregistered", reason=type(error).__name__)

    def _run(self) -> None:
        while not self._stopped:
            if self._settings.alive_file:  # even while Redis is down
                show_alive(self._settings.alive_file)
            try:
                self._announce()
                if time.monotonic() >= self._reap_from:
                    reaped = self._maintenance.reap(max_attempts=self._settings.max_attempts)
                    if reaped:
                        log.warning("jobs of silent workers reaped", count=reaped)
                clean_worker_registry(Queue(self._settings.queue, connection=self._redis))
            except redis.RedisError as error:
                outage = outage_reason(error)
                log.warning("housekeeping postponed", reason=outage or type(error).__name__)
                if outage:  # in which no worker can renew its leases: put off reaping by one lease
                    self._reap_from = time.monotonic() + self._settings.lease_s
            self._woken.wait(self._settings.lease_s / 4)
            self._woken.clear()

    def _announce(self) -> None:
        """Announce this worker's models; all as unavailable while Redis and store do not match."""
        lease_s, match = self._settings.lease_s, self.identity.last
        cards = self._cards()
        if not match.store_fits:
            unfit = {"status": ModelStatus.UNAVAILABLE, "reason": match.problem}
            cards = [card.model_copy(update=unfit) for card in cards]
        remember_s = self._settings.retention_s + lease_s
        announce(self._redis, self._name, cards, lease_s=lease_s, remember_s=remember_s)

    def _run_sweeps(self) -> None:
        """Sweep page after page of due deletions; pause where no more are due."""
        while not self._stopped:
            more = False
            with suppress(redis.RedisError):  # the other thread logs it
                more = self._index_repair.step()
                if self.identity.recent().store_fits:  # else the due objects lie in another store
                    tombstone_s = self._settings.tombstone_s
                    due = sweep_due(self._maintenance, self._store, tombstone_s=tombstone_s)
                    more = self._orphans.step() or due or more
            if not more:
                self._ended.wait(self._settings.lease_s / 4)
