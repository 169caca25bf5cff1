"""`python -m benchmarks.games FOLDER [--games GLOB] [--seeds N] [--estimators NAME ...]`.

How many evaluations do estimators of Shapley values need? Measured on games with every coalition
known: .npz files with `n_players`, `coalitions` (2^n, n) and `values` (2^n,). For each family of
games (resnet18_n14_3.npz is of resnet18_n14) budgets grow by a fifth at a time until the median,
over games and seeds, of |estimate - exact|^2 / |exact|^2 is at most 1 %. Printed are the distinct
evaluations for 5 % and 1 %, including the empty and the full coalition, interpolated between
budgets, with their 95 % confidence bounds: games are drawn again with replacement, all seeds of one
together, the same draws for every estimator. Then the share of the players' exact values within
1.96 standard errors at the budgets that first reached 5 % and 1 %. The engine's methods run
unchanged, by their generators.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import by_shapiq
from benchmarks.drive import drive
from worker.engine.attribution import Attribution
from worker.engine.game.superpixels import Pixels, make_pixels
from worker.engine.methods.protocol import Game
from worker.engine.request import Request

Floats = NDArray[np.float64]
GOALS = (0.05, 0.01)
LARGEST = 4096  # evaluations
RESAMPLES = 1000  # of the games, for the bounds
BOUNDS = (0.025, 0.975)


@dataclass(eq=False)
class Table:
    """A game with known values, (2^n,) in the order of the players' bits; it counts its calls."""

    players: int
    values: Floats

    def __post_init__(self) -> None:
        self.asked: set[int] = set()

    def __call__(self, members: Any) -> Floats:
        """Return the values of members (B, n), 0 or 1: (B,)."""
        numbers = np.asarray(members).astype(np.int64) @ (1 << np.arange(self.players))
        self.asked.update(numbers.tolist())
        return self.values[numbers]

    @cached_property
    def truth(self) -> Floats:
        """Average each player's contribution to coalitions without it, (n,): Shapley's formula."""
        n, numbers = self.players, np.arange(2**self.players)
        sizes = np.bitwise_count(numbers)
        weights = np.array([1 / (n * comb(n - 1, size)) for size in range(n)])
        without = [numbers[numbers >> i & 1 == 0] for i in range(n)]
        gains = [self.values[w | 1 << i] - self.values[w] for i, w in enumerate(without)]
        return np.array([weights[sizes[w]] @ g for w, g in zip(without, gains, strict=True)])


Estimator = Callable[[Table, int, int], tuple[Floats, Floats | None]]  # game, max_evals, seed


def ours(method: str) -> Estimator:
    """Make an estimator of an engine's method."""

    def estimate(table: Table, max_evals: int, seed: int) -> tuple[Floats, Floats | None]:
        found = attribute(table, Request(method, max_evals=max_evals, seed=seed))
        errors = found.standard_errors
        return found.values.ravel(), None if errors is None else errors.ravel()

    return estimate


def attribute(game: Any, request: Request) -> Attribution:
    """Drive a method of the engine over a game; every player is a superpixel of one pixel.

    game: has their number, `players`, and maps members (B, players) to values (B,).
    """
    players = make_pixels(Pixels(), (1, game.players, 1))
    ends = game(np.array([players.sizes * 0, players.sizes]))[:, np.newaxis]  # (2, 1)
    known = Game(replace(players, superpixels=True), *ends)
    return drive(known, request, lambda members: game(members.astype(np.int64))[:, np.newaxis])


def shap_permutation(table: Table, max_evals: int, seed: int) -> tuple[Floats, None]:
    """shap's PermutationExplainer, antithetic."""
    import shap

    nobody, everybody = np.zeros((1, table.players)), np.ones((1, table.players))
    explainer = shap.PermutationExplainer(table, shap.maskers.Independent(nobody), seed=seed)
    return explainer(everybody, max_evals=max_evals, silent=True).values[0], None


def shap_kernel(table: Table, max_evals: int, seed: int) -> tuple[Floats, None]:
    """shap's KernelExplainer without its selection of ten players."""
    import shap

    np.random.seed(seed)  # shap draws from the global stream
    explainer = shap.KernelExplainer(table, np.zeros((1, table.players)))
    everybody = np.ones((1, table.players))
    options = {"nsamples": max_evals - 2, "l1_reg": False, "silent": True}
    return explainer.shap_values(everybody, **options)[0], None


ESTIMATORS: dict[str, Estimator] = {
    **{name: ours(name) for name in ("gaussian_process", "permutation", "kernel")},
    "shap-permutation": shap_permutation,
    "shap-kernel": shap_kernel,
    **by_shapiq.estimators(),
}


@dataclass(frozen=True)
class Row:
    """Medians over the runs at one budget, and the coverage, if known.

    evaluations, errors: (1 + R,), of all games and of each resample.
    """

    evaluations: Floats
    errors: Floats
    coverage: float | None


def main() -> None:
    options = _options()
    print(f"median over games and {options.seeds} seeds (95 % bounds); cover: within 1.96 errors")
    print(
        "| games | estimator | 5 % | 1 % | cover at 5 % | cover at 1 % |\n|---|---|---|---|---|---|"
    )
    for family, tables in load_games(options.folder, options.games).items():
        exact = [table.truth for table in tables]
        for name in options.estimators:
            rows = list(_climb(ESTIMATORS[name], tables, exact, options.seeds))
            cells = [_evaluations(rows, goal) for goal in GOALS]
            cells += [_coverage(rows, goal) for goal in GOALS]
            print(f"| {family} | {name} | {' | '.join(cells)} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.games", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--games", default="*.npz", metavar="GLOB")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument(
        "--estimators", nargs="+", choices=ESTIMATORS, default=list(ESTIMATORS), metavar="NAME"
    )
    options = parser.parse_args()
    if missing := by_shapiq.missing(options.estimators):
        install = "pip install -e '.[benchmarks]'"
        parser.error(f"estimators need {' and '.join(missing)}: {install}, or give --estimators")
    if not any(options.folder.glob(options.games)):
        parser.error(f"no file in {options.folder} matches {options.games}; .npz games are needed")
    return options


def load_games(folder: Path, games: str) -> dict[str, list[Table]]:
    """Read the games of each family."""
    families = defaultdict(list)
    for path in sorted(folder.glob(games)):
        with np.load(path) as file:
            players, coalitions = int(file["n_players"]), file["coalitions"].astype(np.int64)
            order = np.argsort(coalitions @ (1 << np.arange(players)))
            table = Table(players, file["values"][order])
        families[path.stem.rpartition("_")[0]].append(table)
    return families


def _climb(
    estimator: Estimator, tables: list[Table], exact: list[Floats], seeds: int
) -> Iterator[Row]:
    """Measure at growing budgets until the last goal and its bounds are reached."""
    players = tables[0].players
    draws = np.random.default_rng(0).integers(len(tables), size=(RESAMPLES, len(tables)))
    draws = np.concatenate([np.arange(len(tables))[np.newaxis], draws])  # (1 + R, G)
    reached = np.zeros(len(draws), dtype=np.bool_)
    budget = 2.0 * players + 1  # the minimum of shap's permutation
    while budget <= min(LARGEST, 2**players):
        row = _measure(estimator, tables, exact, round(budget), seeds, draws)
        yield row
        reached |= row.errors <= GOALS[-1]
        if reached[0] and reached.mean() > BOUNDS[1]:
            return
        budget *= 1.2


def _measure(
    estimator: Estimator,
    tables: list[Table],
    exact: list[Floats],
    budget: int,
    seeds: int,
    draws: NDArray[np.int64],
) -> Row:
    counts, errors = np.empty((2, len(tables), seeds))
    covered = []
    for i, (table, truth) in enumerate(zip(tables, exact, strict=True)):
        for seed in range(seeds):
            table.asked = {0, 2**table.players - 1}
            values, deviations = estimator(table, budget, seed)
            counts[i, seed] = len(table.asked)
            errors[i, seed] = ((values - truth) ** 2).sum() / (truth**2).sum()
            if deviations is not None:
                covered.append(np.abs(values - truth) <= 1.96 * deviations)
    return Row(
        np.median(counts[draws], axis=(1, 2)),
        np.median(errors[draws], axis=(1, 2)),
        float(np.mean(covered)) if covered else None,
    )


def _evaluations(rows: list[Row], goal: float) -> str:
    """Return the evaluations at which the error first reaches a goal, and their bounds."""
    evaluations = np.array([row.evaluations for row in rows])  # (B, 1 + R)
    errors = np.array([row.errors for row in rows])
    needed = [interpolate(*each, goal) for each in zip(evaluations.T, errors.T, strict=True)]
    least, most = evaluations[[0, -1], 0]
    low, high = np.quantile(needed[1:], BOUNDS, method="inverted_cdf")
    count, below, above = (
        f"> {most:.0f}" if each > most else f"<= {least:.0f}" if each <= least else f"{each:.0f}"
        for each in (needed[0], low, high)
    )
    return count if below == above else f"{count} ({below}..{above})"


def interpolate(evaluations: Floats, errors: Floats, goal: float) -> float:
    """Return the evaluations at which the error first reaches a goal, between logarithms.

    evaluations, errors: (B,). Infinite where no error is small enough; the first where all are.
    """
    small = np.flatnonzero(errors <= goal)
    if not len(small):
        return np.inf
    around = [small[0], max(0, small[0] - 1)]
    logs = np.log(np.maximum(errors[around], np.finfo(np.float64).tiny))
    return float(np.exp(np.interp(np.log(goal), logs, np.log(evaluations[around]))))


def _coverage(rows: list[Row], goal: float) -> str:
    row = next((row for row in rows if row.errors[0] <= goal), None)
    return "" if row is None or row.coverage is None else f"{row.coverage:.1%}"


if __name__ == "__main__":
    main()
