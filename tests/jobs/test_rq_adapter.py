"""What the adapter overrides is there in the RQ that is installed."""

import pytest

from service.jobs.rq_adapter import Job, Queue, Worker

OURS = {"functions", "may_take", "run_job", "stop", "_take"}


@pytest.mark.parametrize("adapted", [Job, Queue, Worker])
def test_every_override_overrides_something(adapted: type) -> None:
    """Where an upgrade of RQ renames a method, ours is called by nobody any more."""
    base = adapted.__mro__[1]
    named = {name for name in vars(adapted) if not name.startswith("__")}
    assert {name for name in named - OURS if not hasattr(base, name)} == set()
    assert base.__module__.startswith("rq.")
