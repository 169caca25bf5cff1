"""The worker of the soak, which writes its transitions into the history."""

import os
import sys
from pathlib import Path
from typing import Any

from service.jobs.leases import FencedError, Heartbeat, LeaseStatus
from service.schemas.documents import Status
from tests.chaos import sleeping_model
from tests.ledger import Ledger
from tests.soak.history import History


class Recorded(Ledger):
    """A ledger that records a worker's calls and their replies."""

    history: History  # of this process

    def begin(self, explanation_id: str) -> str | None:
        with self.history.call("begin", id=explanation_id) as answer:
            attempt = super().begin(explanation_id)
            answer["attempt"] = attempt
        return attempt

    def heartbeat(self, *ticks: Heartbeat) -> list[LeaseStatus]:
        held = [[tick.id, tick.attempt] for tick in ticks]
        with self.history.call("tick", held=held) as answer:
            standings = super().heartbeat(*ticks)
            answer["standings"] = standings
        return standings

    def finish(self, explanation_id: str, attempt: str, status: Status, **found: Any) -> None:
        of = {"id": explanation_id, "attempt": attempt, "status": status}
        with self.history.call("finish", **of) as answer:
            fenced = _fenced_by(super().finish, explanation_id, attempt, status, **found)
            answer["owned"] = not fenced
        if fenced:
            raise fenced

    def release(self, explanation_id: str, attempt: str, **how: Any) -> None:
        with self.history.call("release", id=explanation_id, attempt=attempt) as answer:
            fenced = _fenced_by(super().release, explanation_id, attempt, **how)
            answer["owned"] = not fenced
        if fenced:
            raise fenced

    def reap(self, **limits: Any) -> int:
        if reaped := super().reap(**limits):
            self.history.note("reap", jobs=reaped)
        return reaped


def _fenced_by(write: Any, *arguments: Any, **options: Any) -> FencedError | None:
    """Make the call; return the error of an attempt that lost its lease."""
    try:
        write(*arguments, **options)
    except FencedError as fenced:
        return fenced
    return None


def main(name: str, step_s: float, pipe: Path, ledger: type[Recorded] = Recorded) -> None:
    ledger.history = History(pipe, f"{name}-{os.getpid()}")
    sleeping_model.main(name, step_s, ledger=ledger)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
