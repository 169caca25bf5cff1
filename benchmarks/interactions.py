"""`python -m benchmarks.interactions FOLDER [--games N] [--seeds N] [--estimators NAME ...]`.

How near are estimates of pair interactions, and do their 95 % intervals contain the exact values?
Measured on games with every coalition known: those of FOLDER, as `benchmarks.games` reads them, and
made ones of 12 players (made_games.py). For budgets of 4, 8 and 16 evaluations a player, printed
are the median over games and seeds of |estimate - exact|^2 / |exact|^2 over all pairs, where zeros
would have 1; for `gaussian_process` also the share of exact values within their interval, and half
its width over the mean absolute value. Its pairs are `adaptive`, or drawn (`random`). Others are
the estimators of k-SII of order 2 that shapiq has. Rough games of 40 players, whose interactions
follow from a formula, are measured for `gaussian_process` alone.
"""

import argparse
import warnings
from collections.abc import Callable, Sequence
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.games import Table, attribute, load_games
from benchmarks.made_games import MadeGame, make_game
from worker.engine.interactions import Interactions, pairs_of
from worker.engine.request import Request, Sampling

Floats = NDArray[np.float64]
Found = tuple[Floats, Interactions | None]  # values (P,), and all that our method tells
Game = Table | MadeGame
Estimator = Callable[[Any, int, int], Found]  # game, max_evals, seed
BUDGETS = (4, 8, 16)  # evaluations a player
MANY = 40  # players
MADE, MADE_PLAYERS = ("sparse", "dense", "rough"), 12
SHAPIQ = ("KernelSHAPIQ", "InconsistentKernelSHAPIQ", "SHAPIQ", "SVARMIQ", "PermutationSamplingSII")


def exact_interactions(table: Table) -> Floats:
    """Average second differences over coalitions without a pair, (P,): Grabisch's formula."""
    n, numbers = table.players, np.arange(2**table.players)
    sizes = np.bitwise_count(numbers)
    weights = np.array([1 / ((n - 1) * comb(n - 2, size)) for size in range(n - 1)])
    truth = []
    for i, j in pairs_of(n).tolist():
        without = numbers[(numbers >> i & 1 == 0) & (numbers >> j & 1 == 0)]
        one, other = without | 1 << i, without | 1 << j
        both = table.values[one | other] - table.values[one]
        truth.append(weights[sizes[without]] @ (both - table.values[other] + table.values[without]))
    return np.array(truth)


def ours(sampling: Sampling) -> Estimator:
    """Make the estimator of the engine's method."""

    def estimate(table: Game, max_evals: int, seed: int) -> Found:
        settings = Request("gaussian_process", max_evals=max_evals, seed=seed, sampling=sampling)
        found = attribute(table, Request(**{**vars(settings), "interactions": 2})).interactions
        assert found is not None
        return found.values[:, 0], found

    return estimate


def of_shapiq(name: str) -> Estimator:
    """Make an estimator of shapiq."""
    from shapiq import approximator

    def estimate(table: Table, max_evals: int, seed: int) -> Found:
        make: Any = getattr(approximator, name)
        base = table.values[0]
        approximation = make(table.players, max_order=2, index="k-SII", random_state=seed)
        found = approximation.approximate(
            budget=max_evals, game=lambda members: table(np.atleast_2d(members)) - base
        )
        return np.array([found[pair] for pair in map(tuple, pairs_of(table.players))]), None

    return estimate


ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "gaussian_process": lambda: ours("adaptive"),
    "gaussian_process, random": lambda: ours("random"),
    **{f"shapiq {name}": lambda name=name: of_shapiq(name) for name in SHAPIQ},  # type: ignore[misc]
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interactions", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--games", type=int, default=15, metavar="N", help="of each family")
    parser.add_argument("--seeds", type=int, default=2, metavar="N")
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=list(ESTIMATORS))
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="shapiq")
    print(f"median over up to {options.games} games a family, and {options.seeds} seeds")
    print("| games | estimator | 4 M | 8 M | 16 M | cover | half width |\n" + "|---" * 7 + "|")
    tables = load_games(options.folder, "*.npz")
    for kind in MADE:
        tables[f"{kind}, {MADE_PLAYERS} players"] = _made(kind, options.games)
    families: dict[str, list[tuple[Game, Floats]]] = {
        family: [(table, exact_interactions(table)) for table in of_family[: options.games]]
        for family, of_family in tables.items()
    }
    families[f"rough, {MANY} players"] = [_rough(seed) for seed in range(options.games)]
    for family, pairs in families.items():
        for name in options.estimators:
            if name.startswith("shapiq") and isinstance(pairs[0][0], MadeGame):
                continue
            rows = [_measure(ESTIMATORS[name](), pairs, b, options.seeds) for b in BUDGETS]
            errors, covers, widths = zip(*rows, strict=True)
            print(f"| {family} | {name} | {' | '.join(errors)} |", end=" ")
            print(f"{', '.join(covers)} | {', '.join(widths)} |", flush=True)


def _made(kind: str, games: int) -> list[Table]:
    members = np.arange(2**MADE_PLAYERS)[:, np.newaxis] >> np.arange(MADE_PLAYERS) & 1
    return [Table(MADE_PLAYERS, make_game(kind, MADE_PLAYERS, n)(members)) for n in range(games)]


def _rough(seed: int) -> tuple[MadeGame, Floats]:
    game = make_game("rough", MANY, seed)
    assert game.interactions is not None
    return game, game.interactions[tuple(pairs_of(MANY).T)]


def _measure(
    estimator: Estimator, games: Sequence[tuple[Game, Floats]], budget: int, seeds: int
) -> tuple[str, str, str]:
    errors, covers, widths = [], [], []
    for table, truth in games:
        for seed in range(seeds):
            values, found = estimator(table, budget * table.players, seed)
            errors.append(((values - truth) ** 2).sum() / (truth**2).sum())
            if found is None or (interval := found.interval) is None:
                continue
            low, high = interval.low[:, 0], interval.high[:, 0]
            covers.append(((low <= truth) & (truth <= high)).mean())
            widths.append((high - low).mean() / 2 / np.abs(truth).mean())
    error = f"{np.median(errors):.3g}"
    return (
        (error, f"{np.mean(covers):.0%}", f"{np.mean(widths):.2f}") if covers else (error, "", "")
    )


if __name__ == "__main__":
    main()
