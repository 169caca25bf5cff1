"""Faults; the history notes the beginning and end of each.

A note names what the fault excuses: the error codes that it may cause.
"""

import itertools
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import LEASE_S, end, fill_disk, free_disk
from tests.soak.clients import INPUTS, Client, Known, Pool, open_after
from tests.soak.harness import WORKERS, SoakHarness
from tests.soak.history import HistoryFile
from tests.soak.shifted import can_shift

UPLOADS = 20  # at once, during which the API is killed

SHIFTS_S = (60, -60, 8 * 86400, -8 * 86400)

LOST = "worker_lost"
UNSTORED = "store_unavailable"


class Faults:
    """Injects faults; they depend on the seed alone, so a plan can be repeated.

    Only the choice of an explanation depends on those that exist at that time.
    """

    def __init__(
        self, harness: SoakHarness, history_file: HistoryFile, pool: Pool, seed: str
    ) -> None:
        self._harness = harness
        self._history = history_file.writer("harness")
        self._uploads = history_file.writer("uploaders")
        self._client = Client(harness.client.base_url, history_file.writer("victim"), pool)
        self._pool = pool
        self._chance = random.Random(seed)  # noqa: S311 - for faults, not for secrets
        self._bursts = 0
        self._again = itertools.count()
        self.kinds: list[Callable[[], None]] = [
            self.kill_worker,
            self.freeze_worker,
            self.stop_worker,
            self.restart_redis,
            self.freeze_redis,
            self.kill_api,
            self.kill_api_amid_uploads,
            self.freeze_api,
            *([self.shift_clock_of_worker, self.shift_clock_of_api] if can_shift() else []),
        ]
        if harness.bucket:
            self.kinds += [self.freeze_store]
        else:
            self.kinds += [self.fill_disk, self.lose_store, self.damage_result, self.damage_upload]

    def close(self) -> None:
        self._client.close()

    def do_harm(self) -> str:
        """Inject a random fault; return its name."""
        fault = self._chance.choice(self.kinds)
        fault()
        return fault.__name__

    @contextmanager
    def _noted(self, kind: str, *excuses: str, **facts: object) -> Iterator[None]:
        self._history.note("fault", kind=kind, excuses=excuses, **facts)
        try:
            yield
        finally:
            self._history.note("fault over", kind=kind)

    # --- Workers

    def kill_worker(self) -> None:
        with self._noted("kill_worker", LOST):
            end(self._worker())

    def freeze_worker(self) -> None:
        """Freeze a worker for less than its lease, or for longer."""
        worker, seconds = self._worker(), self._chance.uniform(0.5, 2 * LEASE_S)
        with self._noted("freeze_worker", LOST, seconds=seconds):
            _freeze(worker, seconds)

    def stop_worker(self) -> None:
        worker = self._worker()
        with self._noted("stop_worker", LOST):  # during its start, a signal kills it
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=60) in (0, -signal.SIGTERM)

    def shift_clock_of_worker(self) -> None:
        """Kill a worker, and start it again with a wrong clock."""
        name, shift_s = self._chance.choice(WORKERS), self._chance.choice(SHIFTS_S)
        with self._noted("shift_clock_of_worker", LOST, shift_s=shift_s):
            end(self._harness.processes[name])
            self._harness.start_worker(name, shift_s=shift_s)
            time.sleep(self._chance.uniform(2, 6))

    def fill_disk(self) -> None:
        """Limit a process's files, its log included, to 16 KB."""
        name, seconds = self._chance.choice((*WORKERS, "api")), self._chance.uniform(0.2, 2)
        process = self._harness.processes[name]
        with self._noted("fill_disk", UNSTORED, of=name, seconds=seconds):
            fill_disk(process)
            time.sleep(seconds)
            free_disk(process)

    def _worker(self) -> Forked:
        return self._harness.processes[self._chance.choice(WORKERS)]

    # --- Redis

    def restart_redis(self) -> None:
        """Kill or stop Redis, and start it with the data that it wrote."""
        kill = self._chance.random() < 0.5
        seconds = self._chance.choices([0, 1, 7, 25], weights=[60, 30, 8, 2])[0]
        with self._noted("restart_redis", LOST, kill=kill, seconds=seconds):
            self._redis.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            self._redis.wait(60)
            time.sleep(seconds)
            self._harness.redis.start()

    def freeze_redis(self) -> None:
        """Freeze Redis: it accepts connections and does not answer."""
        seconds = self._chance.choices([0.5, 3, 8], weights=[60, 30, 10])[0]
        with self._noted("freeze_redis", LOST, seconds=seconds):
            _freeze(self._redis, seconds)

    @property
    def _redis(self) -> subprocess.Popen[bytes]:
        assert self._harness.redis.process
        return self._harness.redis.process

    # --- The API

    def kill_api(self) -> None:
        with self._noted("kill_api"):
            end(self._harness.processes["api"])

    def shift_clock_of_api(self) -> None:
        shift_s = self._chance.choice(SHIFTS_S)
        with self._noted("shift_clock_of_api", shift_s=shift_s):
            end(self._harness.processes["api"])
            self._harness.start_api(shift_s=shift_s)
            time.sleep(self._chance.uniform(0, 4))

    def freeze_api(self) -> None:
        seconds = self._chance.uniform(0.5, 4)
        with self._noted("freeze_api", seconds=seconds):
            _freeze(self._harness.processes["api"], seconds)

    def kill_api_amid_uploads(self) -> None:
        """Kill the API during twenty uploads; those with a key are repeated after the restart."""
        self._bursts += 1
        lives = threading.Event()
        senders = [
            threading.Thread(target=self._upload, args=(self._bursts, n, lives), daemon=True)
            for n in range(UPLOADS)
        ]
        with self._noted("kill_api_amid_uploads"):
            for sender in senders:
                sender.start()
            time.sleep(self._chance.uniform(0, 0.5))
            end(self._harness.processes["api"])
            self._harness.start_api()
            lives.set()
            for sender in senders:
                sender.join()

    def _upload(self, burst: int, n: int, lives: threading.Event) -> None:
        name = f"uploader-{burst}-{n}"
        client = Client(self._harness.client.base_url, self._uploads, self._pool)
        what, keyed = INPUTS[n % len(INPUTS)], n % 2 == 0
        told = client.submit(what, name, keyed=keyed, cached=False)
        lives.wait(60)
        while keyed and open_after(told):
            told = client.submit(what, name, keyed=keyed, cached=False)
            time.sleep(0.1)
        client.close()

    # --- The store

    def lose_store(self) -> None:
        """Replace the store, so that every access fails."""
        seconds = self._chance.uniform(0.2, 2)
        with self._noted("lose_store", UNSTORED, seconds=seconds), self._harness.without_store():
            time.sleep(seconds)

    def freeze_store(self) -> None:
        """Freeze the store: it accepts connections and does not answer."""
        assert self._harness.bucket
        seconds = self._chance.choices([0.5, 3, 10, 30], weights=[50, 30, 15, 5])[0]
        with self._noted("freeze_store", UNSTORED, seconds=seconds):
            _freeze(self._harness.bucket.process, seconds)

    def damage_result(self) -> None:
        """Flip a bit of a result; the same request is repeated before or after somebody notices."""
        chosen, place, missed = (self._chance.random() for _ in range(3))
        stored = [each for each in self._pool.all if each.input and each.done and self._files(each)]
        if not stored:
            return
        known = stored[int(chosen * len(stored))]
        with self._noted("damage_result", "no_result", id=known.id):
            for file in self._files(known):
                _flip_a_bit(file, place)
            if missed < 0.5:
                self._client.fetch(known)
            assert known.input
            self._client.submit(known.input, f"again-{next(self._again)}", keyed=False, cached=True)
            self._client.fetch(known)

    def damage_upload(self) -> None:
        """Flip a bit of the upload of an explanation that waits or runs."""
        chosen, place = self._chance.random(), self._chance.random()
        if waiting := [each for each in self._pool.all if not each.done]:
            known = waiting[int(chosen * len(waiting))]
            with self._noted("damage_upload", UNSTORED, id=known.id):
                _flip_a_bit(self._harness.store / "explanations" / known.id / "image", place)

    def _files(self, known: Known) -> list[Path]:
        """Return the stored files of its result."""
        return list((self._harness.store / "explanations" / known.id).glob("*/*"))


def _flip_a_bit(file: Path, place: float) -> None:
    """Flip a bit of this file alone: copies may be hard links to the same file."""
    try:
        content = bytearray(file.read_bytes())
        content[int(place * len(content))] ^= 1
        damaged = file.with_name("damaged")
        damaged.write_bytes(content)
        damaged.rename(file)
    except FileNotFoundError:
        pass  # it was just deleted


def _freeze(process: Forked | subprocess.Popen[bytes], seconds: float) -> None:
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)
