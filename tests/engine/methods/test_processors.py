"""Values do not depend on which processor they are computed by, so that others can verify them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.engine.games import play
from worker.engine.methods.registry import METHODS
from worker.engine.request import Request

KINDS = ("Haswell", "Nehalem")  # of processors, as OpenBLAS calls them; elsewhere without effect
SHAPE = (3, 4, 1)
ROOT = Path(__file__).parents[3]


def values(method: str) -> list[list[float]]:
    """Explain games of 12 players by few and by many evaluations."""
    found = []
    for seed in range(3):
        weights = np.random.default_rng(seed).normal(size=(2, 12, 2))

        def value(mask, weights=weights):
            inside = mask.ravel().astype(np.float64)
            return 1 / (1 + np.exp(-(inside @ weights[0]) * (1 + inside @ weights[1] / 4)))

        for max_evals in (14, 26, 60, 150):
            request = Request(method, max_evals=max_evals, seed=seed)
            attribution = play(lambda game, r=request: METHODS[r.method](game, r), value, SHAPE)
            found.append(attribution.values.ravel().tolist())
    return found


@pytest.mark.parametrize("method", ["kernel", "gaussian_process"])
def test_values_are_the_same_by_the_arithmetic_of_other_processors(method):
    here = values(method)
    for kind in KINDS:
        script = (
            f"import json; from {__name__} import values; print(json.dumps(values({method!r})))"
        )
        environment = os.environ | {"OPENBLAS_CORETYPE": kind, "PYTHONPATH": str(ROOT)}
        printed = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        )
        for one, other in zip(here, json.loads(printed.stdout), strict=True):
            assert other == pytest.approx(one, rel=1e-9, abs=1e-9)
