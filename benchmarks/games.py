"""`python -m benchmarks.games FOLDER [--games GLOB] [--seeds N] [--estimators NAME ...]`.

How many evaluations do estimators of Shapley values need? Measured on games with every coalition
known: .npz files with `n_players`, `coalitions` (2^n, n) and `values` (2^n,). For each family of
games (resnet18_n14_3.npz is of resnet18_n14) budgets grow by a fifth at a time until the median,
over games and seeds, of |estimate - exact|^2 / |exact|^2 is at most 1 %. Printed are the distinct
evaluations for 5 % and 1 %, including the empty and the full coalition, interpolated between
budgets, and the share of the players' exact values within 1.96 standard errors at the budgets that
first reached 5 % and 1 %. The engine's methods run unchanged, by their generators.
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
    """Medians over the runs at one budget: evaluations, error; and the coverage, if known."""

    evaluations: float
    error: float
    coverage: float | None


def main() -> None:
    options = _options()
    print(f"median over games and {options.seeds} seeds; cover: share within 1.96 standard errors")
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
    """Measure at growing budgets until the last goal is reached, or no budget is left."""
    players = tables[0].players
    budget = 2.0 * players + 1  # the minimum of shap's permutation
    while budget <= min(LARGEST, 2**players):
        row = _measure(estimator, tables, exact, round(budget), seeds)
        yield row
        if row.error <= GOALS[-1]:
            return
        budget *= 1.2


def _measure(
    estimator: Estimator, tables: list[Table], exact: list[Floats], budget: int, seeds: int
) -> Row:
    counts, errors, covered = [], [], []
    for table, truth in zip(tables, exact, strict=True):
        for seed in range(seeds):
            table.asked = {0, 2**table.players - 1}
            values, deviations = estimator(table, budget, seed)
            counts.append(len(table.asked))
            errors.append(((values - truth) ** 2).sum() / (truth**2).sum())
            if deviations is not None:
                covered.append(np.abs(values - truth) <= 1.96 * deviations)
    coverage = float(np.mean(covered)) if covered else None
    return Row(float(np.median(counts)), float(np.median(errors)), coverage)


def _evaluations(rows: list[Row], goal: float) -> str:
    """Interpolate, between logarithms, the budget at which the error first reaches a goal."""
    reached = next((i for i, row in enumerate(rows) if row.error <= goal), None)
    if reached is None:
        return f"> {rows[-1].evaluations:.0f}"
    if reached == 0:
        return f"<= {rows[0].evaluations:.0f}"
    above, below = rows[reached - 1], rows[reached]
    errors = np.log([below.error, above.error])
    evaluations = np.log([below.evaluations, above.evaluations])
    return f"{np.exp(np.interp(np.log(goal), errors, evaluations)):.0f}"


def _coverage(rows: list[Row], goal: float) -> str:
    row = next((row for row in rows if row.error <= goal), None)
    return "" if row is None or row.coverage is None else f"{row.coverage:.1%}"


if __name__ == "__main__":
    main()
