"""The priors that gaussian_process chooses from, and how they are learnt."""

import numpy as np
import pytest

from worker.engine.methods.prior_family import PriorFamily

M = 9


def of_picture(random: np.random.Generator) -> PriorFamily:
    return PriorFamily.of_picture(random.normal(size=M), random.uniform(0, 30, (M, 2)))


@pytest.mark.parametrize("kind", ["uniform", "picture"])
def test_the_slope_of_the_loss_is_that_of_small_differences(kind: str) -> None:
    random = np.random.default_rng(3)
    family = PriorFamily.uniform(M) if kind == "uniform" else of_picture(random)
    signs, odd = random.choice([-1.0, 1.0], (40, M)), random.normal(size=(40, 2))
    logs = random.normal(scale=0.3, size=5 + M)

    _, slope = family.loss(logs, signs, odd)

    for i, step in enumerate(np.eye(5 + M) * 1e-5):
        above, _ = family.loss(logs + step, signs, odd)
        below, _ = family.loss(logs - step, signs, odd)
        assert slope[i] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-6)
