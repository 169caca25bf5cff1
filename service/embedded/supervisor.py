"""Starts child processes, restarts those that exit, and stops all with the parent."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.embedded.log_files import note, rotate

STOP_S = 1.0  # grace period before a child is killed; a third of it for Redis
RESTART_PAUSE_S = (0.2, 1, 2, 5)  # before the first, second, ... consecutive restart
ROTATE_S = 5  # between two checks of log sizes
STEADY_S = 30  # a child that ran this long restarts without a pause
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass
class Child:
    """A child process and how to restart it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0  # consecutive
    due_at: float = 0.0  # time of its restart

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def how_it_ended(self) -> str:
        """Describe how an exited child ended."""
        code = self.process.poll() if self.process else None
        if code is None:
            return "before it began"
        return f"with code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"

    def start(self) -> None:
        """Start it in its own session, so that Ctrl-C reaches the parent only.

        The child dies with the parent.
        """
        self.rotate_log()
        note(self.log, f"{self.name} starts")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own commands
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(_libc.prctl, PR_SET_PDEATHSIG, signal.SIGKILL),
            )
        self.started_at = time.monotonic()

    def rotate_log(self) -> None:
        with suppress(OSError):  # a full disk: retried later
            rotate(self.log)

    def last_lines(self, count: int = 5) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-count:])


class Supervisor:
    """Keeps its children running. Not thread-safe: the main thread must start children."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self._rotate_at = 0.0  # time.monotonic()

    def start(self, child: Child) -> None:
        self.children.append(child)
        child.start()

    def watch(self) -> list[str]:
        """Restart children that are due; return the names of those newly found dead."""
        if time.monotonic() >= self._rotate_at:
            self._rotate_at = time.monotonic() + ROTATE_S
            for child in self.children:
                child.rotate_log()
        dead = []
        for child in self.children:
            if child.alive:
                continue
            if not child.due_at:
                dead.append(child.name)
                note(child.log, f"{child.name} ended {child.how_it_ended}")
                child.due_at = time.monotonic() + _pause_s(child)
            elif time.monotonic() >= child.due_at:
                child.due_at = 0.0
                child.start()
        return dead

    def stop(self) -> None:
        """Stop all, the last started first and Redis last; kill those that time out."""
        for child in reversed(self.children[1:]):
            _signal(child, signal.SIGTERM)
        _wait(self.children[1:], STOP_S)
        for child in self.children[:1]:
            _signal(child, signal.SIGTERM)
            _wait([child], STOP_S / 3)


def _pause_s(child: Child) -> float:
    if time.monotonic() - child.started_at > STEADY_S:
        child.failures = 0
    pause_s = RESTART_PAUSE_S[min(child.failures, len(RESTART_PAUSE_S) - 1)]
    child.failures += 1
    return pause_s


def _signal(child: Child, number: signal.Signals) -> None:
    """Signal the child's whole session: a child may have children."""
    if child.alive and child.process:
        os.killpg(child.process.pid, number)


def _wait(children: Sequence[Child], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(child.alive for child in children) and time.monotonic() < deadline:
        time.sleep(0.02)
    for child in children:
        _signal(child, signal.SIGKILL)
        if child.process:
            child.process.wait()
