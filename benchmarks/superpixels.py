"""`python -m benchmarks.superpixels FOLDER [--model NAME_OR_FILE] [--cache FOLDER] ...`.

How near do estimates of Shapley values come on real photos, of more superpixels than can be
enumerated? Each photo of FOLDER is cut by SLIC, its hidden superpixels are filled, and the outputs
that score highest are explained. The truth is a regression on --truth evaluations (photo_games.py),
printed with its own error, as its halves tell it; of few superpixels it is exact. Printed for each
budget, over photos and seeds: the median and the geometric mean of |estimate - truth|^2 / |truth|^2
of the top output, the median of the mean over outputs, the share of true values within the 95 %
intervals, which are widened by the truth's standard errors, and the CPU seconds that the method
took without the model. The engine's methods run unchanged, by their generators.

--model: one of the bundled models, or a models file (.toml), of which the default is taken. --cache
keeps games and scores, so that a second run asks the model for nothing that it scored before.
--settings: of the engine's Request, such as sampling=random.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.drive import drive
from benchmarks.photo_games import (
    GameSettings,
    KnownScores,
    LazyModel,
    PhotoGame,
    load,
    make_game,
    save,
)
from worker.adapters.engine_request import read_masker
from worker.engine.arrays import Mask, Scores
from worker.engine.game.expected_importance import expect_importance
from worker.engine.methods.protocol import Game
from worker.engine.request import Request

KINDS = {".jpg", ".jpeg", ".png"}
METHODS = ("gaussian_process", "kernel", "permutation")
EXACT_UP_TO = 12  # superpixels, of which budgets are small


def main() -> None:
    options = _options()
    photos = sorted(each for each in options.folder.iterdir() if each.suffix.lower() in KINDS)
    if not photos:
        raise SystemExit(f"{options.folder} has no file of {', '.join(sorted(KINDS))}")
    games = list(_games(options, photos[: options.photos]))
    truths = np.array([game.truth_errors for game, _ in games])  # (photos, K)
    players = [len(game.truth) for game, _ in games]
    print(
        f"{len(games)} photos of {min(players)} to {max(players)} superpixels; error of the truth: "
        f"median {np.median(truths[:, 0]):.2%} of the top output, {np.median(truths):.2%} of all; "
        f"the largest {truths.max():.2%}"
    )
    if not options.seeds:
        return
    print("| method | evaluations | top output | geometric | mean of outputs | cover | CPU s |")
    print("|---|---|---|---|---|---|---|")
    few = max(players) <= EXACT_UP_TO
    for method in options.methods:
        for budget in options.budgets or ((64, 160) if few else (200, 500)):
            requests = [
                Request(method, max_evals=budget, seed=seed, **options.settings)
                for seed in range(options.seeds)
            ]
            runs = [_run(game, known, request) for game, known in games for request in requests]
            print(f"| {method} | {budget} | {_row(runs)} |", flush=True)
            for _, known in games:
                known.save()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.superpixels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", default="imagenet", metavar="NAME_OR_FILE")
    parser.add_argument("--segments", type=int, default=50)
    parser.add_argument("--masker", default="mean")
    parser.add_argument("--truth", type=int, default=12_000, help="evaluations")
    parser.add_argument("--budgets", type=int, nargs="+", help="evaluations")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS[:1])
    parser.add_argument("--outputs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2, help="0: makes the truths alone")
    parser.add_argument("--photos", type=int, help="the first so many; all by default")
    parser.add_argument("--cache", type=Path, metavar="FOLDER")
    parser.add_argument("--settings", nargs="+", type=_setting, default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    options.settings = dict(options.settings)
    return options


def _setting(text: str) -> tuple[str, Any]:
    """Parse a setting of the engine's Request."""
    name, _, value = text.partition("=")
    accepted = {"batch_size": int, "regularization": str, "sampling": str, "prior": str}
    accepted |= {"score_scale": str, "target_standard_error": float}
    if name not in accepted or not value:
        names = ", ".join(accepted)
        raise argparse.ArgumentTypeError(f"{text!r} is no setting; accepted are {names}, as a=b")
    return name, accepted[name](value)


def _games(
    options: argparse.Namespace, photos: list[Path]
) -> Iterator[tuple[PhotoGame, KnownScores]]:
    model, masker = LazyModel(options.model), read_masker(options.masker)
    settings = GameSettings(
        options.model, options.segments, str(masker), options.outputs, options.truth
    )
    for photo in photos:
        path = options.cache and options.cache / f"{photo.stem}.npz"
        if path and path.exists():
            game = load(path)
            if game.settings != str(settings):
                raise SystemExit(f"{path} is of {game.settings}, not of {settings}")
        else:
            game = make_game(photo, model, settings, masker)
            if path:
                save(game, path)
        asked = path and path.parent / "asked" / path.name
        print(
            f"{photo.name}: {game.names[0]} {game.ends[1, 0]:.2f}, {len(game.truth)} superpixels, "
            f"truth's error {game.truth_errors[0]:.2%}",
            flush=True,
        )
        yield game, KnownScores(game, model, masker, asked)


@dataclass(frozen=True)
class Run:
    """One estimate: errors and cover for each output, (K,); CPU seconds."""

    errors: Scores
    cover: Scores | None
    cpu_s: float


def _run(game: PhotoGame, known: KnownScores, request: Request) -> Run:
    asking_s = 0.0

    def score(members: Mask) -> Scores:
        nonlocal asking_s
        start = process_time()
        scores = known(members)
        asking_s += process_time() - start
        return scores

    expected = None
    if request.method == "gaussian_process" and request.prior == "picture":
        expected = expect_importance(game.players, game.picture.astype(np.float32), game.hidden)
    whole = Game(game.players, game.ends[0], game.ends[1], expected)
    start = process_time()
    found = drive(whole, request, score)
    cpu_s = process_time() - start - asking_s
    regions, off = found.regions, found.regions.values - game.truth  # (M, K)
    cover = None
    if regions.interval is not None:
        half = (regions.interval.high - regions.interval.low) / 2
        rounding = 1e-9 * np.abs(game.truth).max()
        cover = (np.abs(off) <= np.hypot(half, 1.96 * game.errors) + rounding).mean(axis=0)
    return Run((off**2).sum(axis=0) / (game.truth**2).sum(axis=0), cover, cpu_s)


def _row(runs: list[Run]) -> str:
    errors = np.array([run.errors for run in runs])  # (R, K)
    covers = [run.cover for run in runs if run.cover is not None]
    cover = f"{np.mean(covers):.1%}" if covers else ""
    top, cpu_s = errors[:, 0], [run.cpu_s for run in runs]
    geometric = np.exp(np.log(np.maximum(top, np.finfo(np.float64).tiny)).mean())
    return (
        f"{np.median(top):.2%} | {geometric:.2%} | {np.median(errors.mean(axis=1)):.2%} | "
        f"{cover} | {np.median(cpu_s):.2f}"
    )


if __name__ == "__main__":
    main()
