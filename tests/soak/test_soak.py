"""The soak fails if a part of the service breaks a promise."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.soak import broken, checker
from tests.soak.harness import SoakHarness
from tests.soak.run import soak

pytestmark = pytest.mark.soak


def kinds(folder: Path, **parts: Callable[..., None]) -> set[str]:
    """Return the kinds of violation after a run without faults with these parts."""
    harness = partial(SoakHarness, **parts)
    history = soak(folder, seed=1, faults=0, calm_s=8, end_s=20, harness=harness)
    with history.open() as lines:
        return {violation.kind for violation in checker.Checker().check(lines)}


def test_a_service_without_faults_keeps_every_promise(tmp_path: Path) -> None:
    assert kinds(tmp_path) == set()


def test_a_worker_that_finishes_everything_twice_is_found(tmp_path: Path) -> None:
    assert checker.TWICE_ENDED in kinds(tmp_path, worker_main=broken.end_twice)


def test_a_worker_that_does_not_finish_is_found(tmp_path: Path) -> None:
    assert checker.LOST in kinds(tmp_path, worker_main=broken.forget)


def test_an_api_with_stale_responses_is_found(tmp_path: Path) -> None:
    assert checker.STALE in kinds(tmp_path, api_main=broken.answer_from_the_past)
