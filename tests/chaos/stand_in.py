"""A worker process like the real one, but for the model: its explanations sleep.

The picture's sha256 says how: `steps` of `step_s` seconds, and whether the call can be interrupted.
"""

import sys
import time
from pathlib import Path

from service.contract.ledger import Ledger, State
from service.contract.logs import configure_logs
from service.contract.queue import EXPLAIN, Job, connect
from service.contract.schema import Status
from service.contract.settings import Settings
from service.contract.store import open_store
from worker.control import Control
from worker.ending import Ending
from worker.housekeeping import Housekeeping
from worker.loop import ModelWorker


def sleep_through(state: State, attempt: str, control: Control) -> Ending:
    """Note the start beside the store, then take as long as asked."""
    assert state.order
    with Path(sys.argv[2]).open("a") as notes:
        notes.write(f"{state.id} {attempt}\n")
    plan = state.order.settings.metadata
    for step in range(int(str(plan["steps"]))):
        control.check()
        time.sleep(float(str(plan["step_s"])))
        control.progress(step + 1, int(str(plan["steps"])))
    return Ending(Status.SUCCEEDED)


def main() -> None:
    settings = Settings()
    configure_logs(level="INFO", as_json=False)
    connection = connect(settings.redis_url)
    ledger = Ledger.of(connection, settings)
    store = open_store(settings.store_url)
    housekeeping = Housekeeping(sys.argv[1], connection, ledger, store, settings, lambda: [])
    housekeeping.start()
    Job.functions[EXPLAIN] = sleep_through
    ModelWorker(sys.argv[1], connection, ledger, settings).work(logging_level="WARNING")
    housekeeping.stop()


if __name__ == "__main__":
    main()
