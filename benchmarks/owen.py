"""`python -m benchmarks.owen [FOLDER] [--photos FILE ...] [--model NAME] [--kinds NAME ...] ...`.

How near do estimates of Owen values come at equal evaluations, by `gaussian_process` and by
`partition`, and do 95 % intervals contain the exact value 95 times in 100? Measured on made games
(made_games.py), on games with all coalitions known of FOLDER (see benchmarks.games), and on photos
cut by SLIC and scored by a bundled model. The truth is `partition` run to its end. Trees are the
merge trees of a picture: of the photo; of a grid of one colour for games of 9 and 16 players, whose
places in the grid are known; of a row of random greys for others. Printed for each budget, in
evaluations: the mean of |estimate - exact|^2 / |exact|^2 over games, outputs and seeds, the share
of exact values within the interval, and half its width over the mean absolute value.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import isqrt
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from benchmarks.drive import drive
from benchmarks.games import load_games
from benchmarks.made_games import KINDS, make_game
from benchmarks.photo_games import LazyModel
from worker.adapters.engine_request import read_masker
from worker.adapters.model_input import fit_picture
from worker.engine.arrays import Credit, Mask, Scores
from worker.engine.attribution import Attribution
from worker.engine.game.expected_importance import expect_importance
from worker.engine.game.image_tree import empty_coalition
from worker.engine.game.players import Players
from worker.engine.game.superpixels import Grid, LabelMap, Slic, make_players
from worker.engine.masking.maskers import make_masker
from worker.engine.methods.protocol import Game
from worker.engine.request import Prior, Request, ScoreScale, Top, select_outputs

WHOLE_TREE = 10**9
BUDGETS = (2, 4, 8, 16)  # evaluations a player
REQUESTS = {
    "gaussian_process": Request("gaussian_process", solution_concept="owen"),
    "gaussian_process, drawn": Request(
        "gaussian_process", solution_concept="owen", sampling="random"
    ),
    "partition": Request("partition"),
    "partition, batch_size 2": Request("partition", batch_size=2),
}


@dataclass(eq=False)
class TreeGame:
    """A game of players with a tree; the scores of members (B, M), (B, K), are kept.

    expected: see worker.engine.methods.protocol.Game.
    """

    players: Players
    score: Callable[[Mask], Scores]
    expected: Scores | None = None
    known: dict[bytes, Scores] = field(default_factory=dict)

    def __call__(self, members: Mask) -> Scores:
        keys = [row.tobytes() for row in members]
        new = {key: i for i, key in enumerate(keys) if key not in self.known}
        if new:
            scores = self.score(members[list(new.values())])
            self.known.update(zip(new, scores, strict=True))
        return np.array([self.known[key] for key in keys])

    def explain(self, request: Request) -> Attribution:
        ends = self(np.array([[False], [True]]).repeat(len(self.players), axis=1))
        return drive(Game(self.players, ends[0], ends[1], self.expected), request, self)


def main() -> None:
    options = _options()
    print(
        "| games | players | evaluations of the tree | method | evaluations | error | cover |"
        " half width |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, games in _kinds(options):
        truths = [game.explain(Request("partition", max_evals=WHOLE_TREE)) for game in games]
        trees = [truth.evaluations for truth in truths]
        players = max(len(game.players) for game in games)
        for budget in (round(each * players) for each in BUDGETS):
            if budget >= np.mean(trees):
                break
            for method in options.methods:
                request = replace(REQUESTS[method], score_scale=options.score_scale)
                cells = _measure(games, truths, request, budget, options.seeds)
                of_game = f"{name} | {players} | {np.mean(trees):.0f}"
                print(f"| {of_game} | {method} | {budget} | {cells} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.owen", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--players", type=int, nargs="*", default=[30, 49], help="of made games")
    parser.add_argument("--games", type=int, default=8, help="of each kind")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--model", default="imagenet")
    parser.add_argument("--segments", type=int, default=40)
    parser.add_argument("--masker", default="blur(64,64)")
    parser.add_argument("--methods", nargs="+", choices=REQUESTS, default=list(REQUESTS))
    parser.add_argument(
        "--prior", choices=get_args(Prior), default="uniform", help="of photos; others have none"
    )
    parser.add_argument("--score-scale", choices=get_args(ScoreScale), default="auto")
    return parser.parse_args()


def _kinds(options: argparse.Namespace) -> Iterator[tuple[str, list[TreeGame]]]:
    for name, tables in (load_games(options.folder, "*.npz") if options.folder else {}).items():
        yield name, [_game(t, t.players, s) for s, t in enumerate(tables[: options.games])]
    for players in options.players:
        for kind in options.kinds:
            made = [make_game(kind, players, seed).value for seed in range(options.games)]
            yield kind, [_game(value, players, seed) for seed, value in enumerate(made)]
    if options.photos:
        model = LazyModel(options.model)
        for path in options.photos:
            yield f"{path.stem}, {options.model}", [_photo(path, model, options)]


def _game(value: Callable[[Any], Scores], players: int, seed: int) -> TreeGame:
    side, random = isqrt(players), np.random.default_rng(seed)
    if players in (9, 16):
        cut = make_players(Grid(side, side), np.zeros((side, side, 1), np.float32))
    else:
        greys = 255 * random.random((1, players, 1)) ** 2
        row = LabelMap(np.arange(players, dtype=np.int32)[np.newaxis])
        cut = make_players(row, greys.astype(np.float32))
    return TreeGame(cut, lambda members: value(members.astype(np.int64))[:, np.newaxis])


def _photo(path: Path, model: LazyModel, options: argparse.Namespace) -> TreeGame:
    shape = model.loaded.predictor.input_shape
    photo = np.asarray(Image.open(path).convert("RGB"))
    picture, _ = fit_picture(photo, shape, fit=model.loaded.card.fit)
    players = make_players(Slic(options.segments), picture)
    masker, expected = read_masker(options.masker), None
    if options.prior == "picture":
        hidden = make_masker(masker, picture)(empty_coalition(picture.shape))[0]
        expected = expect_importance(players, picture, hidden)
    score = model.scorer(picture, players.labels, masker)
    outputs = select_outputs(Top(2), score(np.ones((1, len(players)), dtype=np.bool_))[0])
    return TreeGame(players, lambda members: score(members)[:, outputs], expected)


def _measure(
    games: list[TreeGame], truths: list[Attribution], request: Request, budget: int, seeds: int
) -> str:
    errors, covered, widths = [], [], []
    for game, truth in zip(games, truths, strict=True):
        exact = _of_players(truth, game.players)  # (M, K)
        rounding = 1e-9 * np.abs(exact).max()
        for seed in range(seeds if request.method == "gaussian_process" else 1):
            found = game.explain(replace(request, max_evals=budget, seed=seed))
            off = _of_players(found, game.players) - exact
            errors.append((off**2).sum(axis=0) / (exact**2).sum(axis=0))
            if (interval := found.regions.interval) is not None:  # regions are the players
                reach = (interval.high - interval.low) / 2 + rounding
                covered.append((np.abs(off) <= reach).mean())
                widths.append(reach.mean() / np.abs(exact).mean())
    error = f"{np.mean(errors):.3f}"
    return (
        f"{error} | {np.mean(covered):.1%} | {np.mean(widths):.2f}" if covered else f"{error} | |"
    )


def _of_players(attribution: Attribution, players: Players) -> Credit:
    """Return the values of the players, (M, K), from those of the elements."""
    pixels = attribution.values.sum(axis=2)  # (H, W, K), as players are whole pixels
    values: Credit = np.zeros((len(players), pixels.shape[2]))
    np.add.at(values, players.labels, pixels)
    return values


if __name__ == "__main__":
    main()
