"""Random faults over a stream of jobs: `python -m tests.chaos.soak`, by SOAK_SEED and SOAK_FAULTS.

Clients send each request again under its Idempotency-Key until it is accepted. In the end each
must have ended once: what did not is lost, what was accepted or ended twice is duplicated.
"""

import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from service.contract.ledger import Ledger
from service.contract.names import INDEX
from service.contract.records import State
from tests.chaos.stage import LEASE_S, QUICK, URL, Stage, end, fill_disk, free_disk
from tests.conftest import RedisServer, wait_until

WORKERS = ("worker-1", "worker-2", "worker-3")
CLIENTS = 4
PAUSE_S = 0.4  # of a client between two requests; three workers keep up with four such
END_S = 300  # how long what was accepted may take to end once all is well again


@dataclass
class Report:
    """What was accepted, and how it ended."""

    faults: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.faults.total()} faults: {_counts(self.faults)}\n"
            f"accepted {self.accepted}; ended: {_counts(self.ended)}; "
            f"by attempts: {_counts(self.attempts)}\n"
            f"lost {len(self.lost)}, duplicated {len(self.duplicated)} {self.lost[:3]}"
        )


class Soak:
    """The stage, those who send, and who does harm: all chance comes from one seed."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.report = Report()
        self._chance = random.Random(seed)  # noqa: S311 - for faults, not for secrets
        self._accepted: list[str] = []
        self._deleted: set[str] = set()
        self._first_end: dict[str, int] = {}  # the version it had when it was first seen done
        self._over = threading.Event()
        self._ledger = Ledger(stage.connection, queue="chaos", lease_s=LEASE_S, retention_s=3600)
        self._faults: list[Callable[[], None]] = [
            self.kill_worker,
            self.freeze_worker,
            self.stop_worker,
            self.restart_redis,
            self.kill_api,
            self.cancel,
            self.delete,
            self.fill_disk,
            self.lose_store,
        ]

    def run(self, faults: int) -> Report:
        """Do so many of them, let everything end, and count."""
        self._heal()
        self.stage.wait_ready()
        senders = [
            threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(CLIENTS)
        ]
        for sender in senders:
            sender.start()
        for _ in range(faults):
            self._do_harm()
        self._over.set()
        for sender in senders:
            sender.join()
        self._count()
        return self.report

    def _do_harm(self) -> None:
        fault = self._chance.choice(self._faults)
        self.report.faults[fault.__name__] += 1
        fault()
        time.sleep(self._chance.uniform(0, 1))
        self._heal()
        self._note_ends()

    def _heal(self) -> None:
        """What a supervisor does: start again what has ended."""
        if not self.stage.living("api"):
            self.stage.start_api()
        for name in WORKERS:
            if not self.stage.living(name):
                self.stage.start_worker(name)

    # --- Clients

    def _send(self, client: int) -> None:
        sent = 0
        while not self._over.is_set():
            self._accepted.append(self._insist(f"{client}-{sent}", 8 * (1 + sent % 20)))
            sent += 1
            time.sleep(PAUSE_S)

    def _insist(self, key: str, max_evals: int) -> str:
        """Send a request until it is accepted; its id."""
        settings = QUICK | {"max_evals": max_evals, "metadata": {"key": key}}
        while True:
            try:
                answer = self.stage.ask(settings, headers={"Idempotency-Key": key})
                if answer.status_code in (200, 202):
                    return str(answer.json()["id"])
                if answer.status_code not in (409, 503):
                    raise AssertionError(answer.text)
            except httpx.HTTPError:  # killed meanwhile
                pass
            time.sleep(0.2)

    # --- Faults

    def kill_worker(self) -> None:
        end(self._worker())

    def freeze_worker(self) -> None:
        """For less than its lease, or for more."""
        worker = self._worker()
        worker.send_signal(signal.SIGSTOP)
        time.sleep(self._chance.uniform(0.5, 2 * LEASE_S))
        worker.send_signal(signal.SIGCONT)

    def stop_worker(self) -> None:
        worker = self._worker()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=60) in (0, -signal.SIGTERM)  # it may have just begun

    def restart_redis(self) -> None:
        if self._chance.random() < 0.5:
            self.stage.redis.stop()
        else:
            self.stage.redis.shut_down()
        time.sleep(self._chance.choices([0, 1, 7, 25], weights=[60, 30, 8, 2])[0])
        self.stage.redis.start()

    def kill_api(self) -> None:
        end(self.stage.processes["api"])

    def cancel(self) -> None:
        if self._accepted:
            self._ledger.cancel(self._chance.choice(self._accepted[-20:]))

    def delete(self) -> None:
        if self._accepted:
            chosen = self._chance.choice(self._accepted[-20:])
            if self.stage.client.delete(f"{URL}/{chosen}").status_code == 204:
                self._deleted.add(chosen)

    def fill_disk(self) -> None:
        worker = self._worker()
        fill_disk(worker)
        time.sleep(self._chance.uniform(0.2, 2))
        free_disk(worker)

    def lose_store(self) -> None:
        with self.stage.without_store():
            time.sleep(self._chance.uniform(0.2, 2))

    def _worker(self):
        return self.stage.processes[self._chance.choice(WORKERS)]

    # --- The count

    def _state(self, explanation_id: str) -> State | None:
        return self._ledger.read(explanation_id)

    def _note_ends(self) -> None:
        for each in [id_ for id_ in self._accepted if id_ not in self._first_end]:
            state = self._state(each)
            if state and state.status.done:
                self._first_end[each] = state.version

    def _all_ended(self) -> bool:
        self._heal()
        self._note_ends()
        return set(self._accepted) <= set(self._first_end) | self._deleted

    def _count(self) -> None:
        with suppress(AssertionError):  # they are counted as lost
            wait_until(self._all_ended, seconds=END_S)
        kept = [id_ for id_ in self._accepted if id_ not in self._deleted]
        states = {id_: self._state(id_) for id_ in kept}
        ended = {id_: state for id_, state in states.items() if state and state.status.done}
        self.report.accepted = len(self._accepted)
        self.report.ended.update(_how(state) for state in ended.values())
        self.report.ended["deleted"] = len(self._deleted)
        self.report.attempts.update(state.attempts for state in ended.values())
        self.report.lost = [id_ for id_ in kept if id_ not in ended or not self._shown(ended[id_])]
        self.report.duplicated = self._duplicates(ended)

    def _shown(self, state: State) -> bool:
        """Whether there is the result that it says there is."""
        address = f"{URL}/{state.id}/attributions?format=npz"
        return not state.result or self.stage.client.get(address).status_code == 200

    def _duplicates(self, ended: dict[str, State]) -> list[str]:
        """Ended twice, given to two requests, or accepted without any client's knowledge."""
        known = {id_.decode() for id_ in self.stage.connection.zrange(INDEX, 0, -1)}
        twice = [id_ for id_, state in ended.items() if state.version != self._first_end[id_]]
        shared = [id_ for id_, count in Counter(self._accepted).items() if count > 1]
        return [*twice, *shared, *(known - set(self._accepted))]


def _how(state: State) -> str:
    return f"{state.status} ({state.error.code})" if state.error else str(state.status)


def _counts(counter: Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))


def soak(folder: Path, server: RedisServer, *, seed: int, faults: int) -> Report:
    stage = Stage(folder, server, settings={"MAX_QUEUED": 200}, step_s=0.01)
    try:
        return Soak(stage, seed).run(faults)
    finally:
        stage.close()


def main() -> int:
    seed, faults = int(os.environ.get("SOAK_SEED", 1)), int(os.environ.get("SOAK_FAULTS", 300))
    with tempfile.TemporaryDirectory(prefix="shapshot-") as folder:
        server = RedisServer(Path(folder), remembers=True)
        server.start()
        began = time.monotonic()
        try:
            report = soak(Path(folder), server, seed=seed, faults=faults)
        finally:
            server.stop()
    print(f"seed {seed}, {time.monotonic() - began:.0f} s\n{report}")
    return 1 if report.lost or report.duplicated else 0


if __name__ == "__main__":
    sys.exit(main())
