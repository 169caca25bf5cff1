"""The real worker, except that its explanations sleep instead of calling a model.

The metadata of its settings says how: so many `steps` of `step_s` seconds.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from service.infra.artifact_store import open_store
from service.infra.logging import configure_logging
from service.infra.settings.worker import WorkerSettings
from service.jobs.redis_connections import connect
from service.jobs.rq_adapter import Job
from service.jobs.rq_job import EXPLAIN
from service.schemas.documents import Status
from tests.ledger import Ledger
from worker.engine.control import Interruption
from worker.housekeeping import Housekeeping
from worker.rq_worker import ModelWorker
from worker.task import FinishedTask, Task, TaskResult

# Values of `steps` with which an explanation
DEADLY = -1  # kills its worker, as a crash in native code does
FAULTY = -2  # raises an unexpected error


def sleep_through(notes: Path, tasks: Sequence[Task]) -> Iterator[FinishedTask]:
    """Note the starts beside the store, then take a step of each in turn until all have ended."""
    with notes.open("a") as lines:
        lines.writelines(f"{task.state.id} {task.attempt}\n" for task in tasks)
    under_way = {task: sleep_steps(task) for task in tasks}
    while under_way:
        for task, ending in [(task, next(steps)) for task, steps in under_way.items()]:
            if ending:
                del under_way[task]
                yield task, ending


def sleep_steps(task: Task) -> Iterator[TaskResult | Interruption | None]:
    """Yield None after each step, and the result after the last."""
    assert task.state.spec
    plan = task.state.spec.settings.metadata
    steps, step_s = int(str(plan["steps"])), float(str(plan["step_s"]))
    if steps == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if steps == FAULTY:
        raise RuntimeError("nobody expects this")
    for step in range(steps):
        try:
            task.control.check()
        except Interruption as interruption:
            yield interruption
        time.sleep(step_s)
        task.control.progress(step + 1, steps)
        if step + 1 < steps:
            yield None
    yield TaskResult(Status.SUCCEEDED)


def main(name: str, notes: Path) -> None:
    settings = WorkerSettings()
    configure_logging(level="INFO", as_json=False)
    connection = connect(settings.redis_url)
    ledger = Ledger.of(connection, settings)
    store = open_store(settings.store_url)
    housekeeping = Housekeeping(name, connection, ledger, store, settings, lambda: [])
    housekeeping.start()
    Job.functions[EXPLAIN] = partial(sleep_through, notes)
    ModelWorker(name, connection, ledger, settings, housekeeping.identity).work(
        logging_level="WARNING"
    )
    housekeeping.stop()
