"""How often previews are made and what they may cost, by a clock of the test's own."""

from itertools import pairwise

import pytest

from worker.preview_throttle import INTERVAL_S, SHARE, PreviewThrottle

LIMIT = 0.03  # of a job's time, promised in docs/dashboard.md


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(cost_of, *, job_s, step_s=0.05):
    """Offers a preview after each step of a job; when previews were made, and what they took."""
    clock, spent = Clock(), []
    throttle = PreviewThrottle(clock)
    while clock.now < 1000 + job_s:
        clock.now += step_s
        if throttle.is_due():
            with throttle.making():
                spent.append((clock.now - 1000, cost_of(len(spent))))
                clock.now += spent[-1][1]
    return spent, clock.now - 1000


def test_cheap_previews_are_made_twice_a_second():
    spent, _ = made(lambda _: 0.001, job_s=60)
    times = [at for at, _ in spent]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert min(pauses) >= INTERVAL_S
    assert max(pauses) == pytest.approx(INTERVAL_S, abs=0.1)


@pytest.mark.parametrize(
    "cost_of",
    [lambda _: 0.03, lambda _: 0.5, lambda n: 0.01 * 1.8**n, lambda n: 0.02 if n % 2 else 0.04],
)
@pytest.mark.parametrize("job_s", [20, 60, 600])
def test_costly_previews_stay_below_their_share(cost_of, job_s):
    spent, took_s = made(cost_of, job_s=job_s)
    assert len(spent) > 0
    assert sum(cost for _, cost in spent[1:]) <= LIMIT * took_s
    if spent[0][1] < 0.1:  # of the first nothing is known
        assert sum(cost for _, cost in spent) <= LIMIT * took_s


def test_a_job_that_is_over_soon_makes_none():
    spent, _ = made(lambda _: 0.001, job_s=0.9)
    assert spent == []


def test_a_preview_that_fails_counts_too():
    clock = Clock()
    throttle = PreviewThrottle(clock)
    clock.now += 10
    assert throttle.is_due()

    def fail():
        with throttle.making():
            clock.now += 1
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    clock.now += 1
    assert not throttle.is_due()
    clock.now += 4 / SHARE
    assert throttle.is_due()
