"""Estimators of shapiq, for `benchmarks.games`.

ProxySHAP, OddSHAP, LeverageSHAP, PolySHAP and RegressionMSR came with shapiq 1.8, which wants
Python 3.12. Three of them fit trees, by XGBoost (ProxySHAP, RegressionMSR) or LightGBM (OddSHAP),
which the extra `benchmarks` installs; without them shapiq would use weaker models.
"""

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Make = Callable[[int, int, int], Any]  # players, max_evals and seed to an approximator
NEEDS = {"shapiq-proxy": "xgboost", "shapiq-msr": "xgboost", "shapiq-odd": "lightgbm"}


def missing(names: list[str]) -> list[str]:
    """Return the packages that estimators of these names need and that are not installed."""
    needed = {NEEDS[name] for name in names if name in NEEDS}
    return sorted(package for package in needed if find_spec(package) is None)


def estimators() -> dict[str, Callable[[Any, int, int], tuple[Floats, None]]]:
    """Return those that the installed shapiq has: functions of a game, max_evals and a seed."""
    release = tuple(int(part) for part in version("shapiq").split(".")[:2])
    made = EARLIER | (SINCE_1_8 if release >= (1, 8) else {})
    return {name: _estimator(make) for name, make in made.items()}


def _estimator(make: Make) -> Callable[[Any, int, int], tuple[Floats, None]]:
    def estimate(game: Any, max_evals: int, seed: int) -> tuple[Floats, None]:
        base = game(np.zeros((1, game.players)))
        approximator = make(game.players, max_evals, seed)
        found = approximator.approximate(
            budget=max_evals, game=lambda members: game(members) - base
        )
        return np.array([found[(i,)] for i in range(game.players)]), None

    return estimate


def _uniform_sizes(players: int, max_evals: int, seed: int) -> Any:
    """KernelSHAP, paired, with uniform sizes: Leverage SHAP before version 1.8."""
    from shapiq.approximator import KernelSHAP

    alike = np.ones(players + 1)
    return KernelSHAP(players, pairing_trick=True, sampling_weights=alike, random_state=seed)


def _kadd(players: int, max_evals: int, seed: int) -> Any:
    """Regression on single players and pairs of them."""
    from shapiq.approximator import kADDSHAP

    return kADDSHAP(players, 2, random_state=seed)


def _proxy(players: int, max_evals: int, seed: int) -> Any:
    """Boosted trees, with their residual estimated by maximum sample reuse.

    Without the residual its error stays above 1 % on some games at any number of evaluations.
    """
    from shapiq.approximator import ProxySHAP

    options = {"max_order": 1, "index": "SV", "adjustment": True, "random_state": seed}
    return ProxySHAP(players, proxy_model=_boosted_trees(seed), **options)


def _msr(players: int, max_evals: int, seed: int) -> Any:
    from shapiq.approximator import RegressionMSR

    return RegressionMSR(players, "SV", proxy_model=_boosted_trees(seed), random_state=seed)


def _boosted_trees(seed: int) -> Any:
    """shapiq's default boosted trees, on one thread."""
    from xgboost import XGBRegressor

    return XGBRegressor(random_state=seed, n_jobs=1)


def _odd(players: int, max_evals: int, seed: int) -> Any:
    from shapiq.approximator import OddSHAP

    return OddSHAP(players, random_state=seed)


def _leverage(players: int, max_evals: int, seed: int) -> Any:
    from shapiq.approximator import LeverageSHAP

    return LeverageSHAP(players, random_state=seed)


def _poly(players: int, max_evals: int, seed: int) -> Any:
    """Regression on up to three players together, with at most half as many terms as pairs.

    In most of a few trials this was better than all pairs, or as many terms as pairs.
    """
    from shapiq.approximator import PolySHAP

    terms = max(players + 1, max_evals // 4)
    options = {"max_order": 3, "max_terms": terms, "pairing_trick": True, "random_state": seed}
    return PolySHAP(players, **options)


EARLIER: dict[str, Make] = {"shapiq-kernel-leverage": _uniform_sizes, "shapiq-kadd": _kadd}
SINCE_1_8: dict[str, Make] = {
    "shapiq-proxy": _proxy,
    "shapiq-odd": _odd,
    "shapiq-leverage": _leverage,
    "shapiq-poly": _poly,
    "shapiq-msr": _msr,
}
