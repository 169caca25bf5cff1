"""Random faults during a stream of clients, with a history: see `python -m tests.soak`."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

from service.embedded.redis_server import find_server
from tests.docker.guarded import USERS, Guarded, guarded_by
from tests.soak.clients import INPUTS, Client, Known, Pool, SimulatedUser
from tests.soak.faults import Faults
from tests.soak.harness import SoakHarness
from tests.soak.history import HistoryFile
from tests.soak.shifted import can_shift
from tests.soak.stores import Bucket

PEOPLE = 4
PAUSE_S = 0.1  # of each user between two calls
UNHEARD_S = 1  # after an unanswered call
WALK_EVERY = 10  # faults
TELL_EVERY_S = 15


class Soak:
    """The harness, its simulated users, and the faults."""

    def __init__(
        self, harness: SoakHarness, history_file: HistoryFile, seed: int, *, end_s: float
    ) -> None:
        self._harness, self._history_file = harness, history_file
        self._seed, self._end_s = seed, end_s
        self._history = history_file.writer("harness")
        self._pool = Pool()
        self._faults = Faults(harness, history_file, self._pool, f"{seed}")
        self._client = Client(harness.client.base_url, self._history, self._pool)
        self._over = threading.Event()
        self._began = time.monotonic()
        self.kinds: Counter[str] = Counter()

    def run(self, faults: int, *, calm_s: float) -> None:
        """Get each result without faults; then inject this many faults; then let everything end."""
        self._history.note("soak", seed=self._seed, faults=faults)
        self._harness.heal()
        self._harness.wait_ready()
        if not can_shift():
            print("clocks are not shifted: apt-get install libfaketime")
        self._see_references()
        people = [self._person(n) for n in range(PEOPLE)]
        time.sleep(calm_s)
        chance, told_at = Random(f"{self._seed} pauses"), 0.0  # noqa: S311 - not for secrets
        for done in range(faults):
            self.kinds[self._faults.do_harm()] += 1
            time.sleep(chance.uniform(0, 1))
            self._harness.heal()
            if done % WALK_EVERY == 0:
                self._client.walk(f"walk-{done}")
            if time.monotonic() - told_at > TELL_EVERY_S:
                told_at = time.monotonic()
                self._tell(done + 1, faults)
        self._over.set()
        for person in people:
            person.join()
        self._settle()
        self._client.close()
        self._faults.close()
        self._tell(faults, faults)

    def _tell(self, done: int, of: int) -> None:
        minutes = (time.monotonic() - self._began) / 60
        size = self._history_file.path.stat().st_size
        print(
            f"{done} of {of} faults, {minutes:.1f} min, {len(self._pool)} explanations kept, "
            f"history {size / 2**20:.1f} MB",
            flush=True,
        )

    def _see_references(self) -> None:
        """Explain each input once before the first fault."""
        for what in INPUTS:
            self._client.submit(what, f"reference-{what}", keyed=False, cached=False)
        self._look_until_all_are_done()

    def _person(self, n: int) -> threading.Thread:
        client = Client(
            self._harness.client.base_url, self._history_file.writer(f"client-{n}"), self._pool
        )
        person = SimulatedUser(f"client-{n}", client, f"{self._seed} {n}")

        def live() -> None:
            while not self._over.is_set():
                heard = person.act()
                time.sleep(PAUSE_S if heard else UNHEARD_S)
            client.close()

        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        return thread

    def _settle(self) -> None:
        """End all faults, let every explanation end, and read each again in every way."""
        self._harness.heal()
        self._harness.wait_ready()
        self._history.note("all is well")
        self._client.walk("before the end")
        self._look_until_all_are_done()
        for known in self._pool.all:
            self._client.read(known)
            self._client.fetch(known)
        self._client.walk("at the end")
        self._history.note("settled")

    def _look_until_all_are_done(self) -> None:
        deadline = time.monotonic() + self._end_s
        while time.monotonic() < deadline and (waiting := list(filter(_unseen, self._pool.all))):
            self._harness.heal()
            for known in waiting:
                if not known.done:
                    self._client.read(known)
                if known.done:
                    self._client.fetch(known)
            time.sleep(0.2)


def _unseen(known: Known) -> bool:
    return not (known.done and known.fetched)


def soak(
    folder: Path,
    *,
    seed: int,
    faults: int,
    calm_s: float = 1,
    end_s: float = 300,
    on_s3: bool = False,
    harness: Callable[..., SoakHarness] = SoakHarness,
) -> Path:
    """Run the soak; return the file of its history. Raises RedisNotFoundError.

    end_s: time for accepted explanations to end after the last fault.
    """
    with ExitStack() as stack:
        server = stack.enter_context(guarded_by(USERS["compose"], find_server()))
        history_file = HistoryFile(folder)
        stack.callback(history_file.close)
        stack.callback(_note_alarms, server, history_file)
        bucket = Bucket(folder) if on_s3 else None
        settings = {"MAX_QUEUED": 200}
        built = harness(
            folder, server, settings, step_s=0.01, history_file=history_file, bucket=bucket
        )
        stack.callback(built.close)
        Soak(built, history_file, seed, end_s=end_s).run(faults, calm_s=calm_s)
    return history_file.path


def _note_alarms(server: Guarded, history_file: HistoryFile) -> None:
    """Note Redis's log lines about lost data or rejected users."""
    for line in server.log.splitlines():
        if "CRITICAL" in line or "NOPERM" in line:
            history_file.writer("redis").note("alarm", text=line[:1000])
