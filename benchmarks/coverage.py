"""`python -m benchmarks.coverage [FOLDER] [--players N ...] [--games N] [--seeds N] ...`.

Do 95 % intervals contain the exact value 95 times in 100, at every budget that has intervals, and
does the error fall with the budget? Measured for the engine's methods, by their generators, on made
games (made_games.py) and, with a FOLDER, on games with all coalitions known (see benchmarks.games).
Printed for each kind of game, method and budget: the mean of |estimate - exact|^2 / |exact|^2, the
share of exact values within the interval, and half its width over the mean absolute value.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.games import Table, attribute, load_games
from benchmarks.made_games import KINDS, MadeGame, make_game
from worker.engine.request import Request

PERMUTATIONS = (1, 2, 3, 4, 6, 10, 20, 40)
PAIRS = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 5, 8, 16)  # for each player
LARGEST = 3000  # evaluations


def main() -> None:
    options = _options()
    print("| games | method | evaluations | for each player | error | cover | half width |")
    print("|---|---|---|---|---|---|---|")
    for name, games in _kinds(options):
        for method in options.methods:
            for budget in _budgets(method, games[0].players):
                cells = _measure(method, games, budget, options.seeds)
                each = budget / games[0].players
                print(f"| {name} | {method} | {budget} | {each:.1f} | {cells} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER")
    parser.add_argument("--players", type=int, nargs="+", default=[30, 49])
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=4)
    names = ["permutation", "kernel", "gaussian_process"]
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    return parser.parse_args()


def _kinds(options: argparse.Namespace) -> Iterator[tuple[str, list[Any]]]:
    if options.folder:
        yield from load_games(options.folder, "*.npz").items()
    for players in options.players:
        for kind in KINDS:
            games = [make_game(kind, players, seed) for seed in range(options.games)]
            yield f"{kind}, {players} players", games


def _budgets(method: str, players: int) -> Iterator[int]:
    most = min(LARGEST, 2**players - 2)
    if method == "permutation":
        budgets = [count * (2 * players + 1) for count in PERMUTATIONS]
    else:
        budgets = [2 + 2 * round(share * players) for share in PAIRS]
    yield from (budget for budget in budgets if budget <= most)


def _measure(method: str, games: list[Table | MadeGame], budget: int, seeds: int) -> str:
    errors, covered, widths = [], [], []
    for game in games:
        exact = game.truth
        for seed in range(seeds):
            regions = attribute(game, Request(method, max_evals=budget, seed=seed)).regions
            values, interval = regions.values[:, 0], regions.interval
            errors.append(((values - exact) ** 2).sum() / (exact**2).sum())
            if interval is not None:
                low, high = interval.low[:, 0], interval.high[:, 0]
                rounding = 1e-9 * np.abs(exact).max()
                covered.append((low <= exact + rounding) & (exact <= high + rounding))
                widths.append((high - low).mean() / 2 / np.abs(exact).mean())
    if not covered:
        return f"{np.mean(errors):.3f} | none | none"
    return f"{np.mean(errors):.3f} | {np.mean(covered):.1%} | {np.mean(widths):.2f}"


if __name__ == "__main__":
    main()
