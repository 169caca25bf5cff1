"""Processes that start at once: forked from a server that has already imported all they need.

Tests kill, freeze and stop them. A fresh interpreter spends more than a second of a core on its
imports, and the tests of faults start dozens of processes.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["tests.chaos.service_harness", "tests.chaos.sleeping_model", "tests.chaos.sleeping_worker"]
)


class Forked:
    """A process that runs `main(*words)`, with the methods of Popen that the tests use."""

    def __init__(
        self,
        main: Callable[..., None],
        *words: object,
        environment: Mapping[str, str],
        log: Path,
    ) -> None:
        arguments = (main, words, environment, log)
        log.touch()
        self._process = _SERVER.Process(target=_live, args=arguments, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self.poll()
        assert code is not None, f"it still lives after {timeout} s"
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _live(
    main: Callable[..., None], words: tuple[object, ...], environment: Mapping[str, str], log: Path
) -> None:
    os.environ.update(environment)
    with log.open("ab") as lines:
        os.dup2(lines.fileno(), 1)
        os.dup2(lines.fileno(), 2)
    main(*words)
