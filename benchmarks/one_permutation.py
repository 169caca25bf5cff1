"""`python -m benchmarks.one_permutation [FOLDER] [--players N] [--games N] [--seeds N]`.

Can a single permutation estimate its own error? It has two passes, in opposite orders. Three
intervals are measured on the games of benchmarks.coverage: from half the difference of a player's
two credits, with Student's t of one degree of freedom (own); from the root mean square of these
halves over the players, with as many degrees as players (pooled); and from the standard deviation
of the values among the players, of which their errors are a part (spread). Printed for each kind of
game: the mean square of the halves over that of the errors, the share of exact values within each
interval, and half its width over the mean absolute value.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.games import load_games
from benchmarks.made_games import KINDS, make_game
from worker.engine.regions import quantile

Floats = NDArray[np.float64]


def main() -> None:
    options = _options()
    kinds: list[tuple[str, list[Any]]] = []
    if options.folder:
        kinds += load_games(options.folder, "*.npz").items()
    for kind in KINDS:
        games = [make_game(kind, options.players, seed) for seed in range(options.games)]
        kinds.append((f"{kind}, {options.players} players", games))
    print("| games | halves over errors | own | pooled | spread |\n|---|---|---|---|---|")
    for name, games in kinds:
        print(f"| {name} | {_measure(games, options.seeds)} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_permutation")
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER")
    parser.add_argument("--players", type=int, default=30)
    parser.add_argument("--games", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=100)
    return parser.parse_args()


def _measure(games: list[Any], seeds: int) -> str:
    ratios, covered, widths = [], [], []
    for game in games:
        for seed in range(seeds):
            one, other = _passes(game, np.random.default_rng(seed))
            values, halves, players = (one + other) / 2, (one - other) / 2, len(one)
            off = np.abs(values - game.truth)
            reaches = [
                quantile(1) * np.abs(halves),
                np.full(players, quantile(players) * np.sqrt((halves**2).mean())),
                np.full(players, quantile(players - 1) * values.std(ddof=1)),
            ]
            ratios.append((halves**2).mean() / (off**2).mean())
            covered.append([(off <= reach).mean() for reach in reaches])
            widths.append([reach.mean() / np.abs(game.truth).mean() for reach in reaches])
    cells = zip(np.mean(covered, axis=0), np.median(widths, axis=0), strict=True)
    of_each = " | ".join(f"{cover:.1%}, {width:.2f}" for cover, width in cells)
    return f"{np.median(ratios):.2f} | {of_each}"


def _passes(game: Any, random: np.random.Generator) -> list[Floats]:
    """Return each player's credit in a random order and in its opposite: (players,) each."""
    ranks, steps = random.permutation(game.players), np.tri(game.players + 1, game.players, -1)
    lines = (ranks, game.players - 1 - ranks)
    return [np.diff(game(steps[:, line].astype(np.int64)))[line] for line in lines]


if __name__ == "__main__":
    main()
