"""`python -m benchmarks.pairs [--pictures N] [--seeds N] [--methods NAME ...]`.

How much narrower are the intervals of a difference of two models that are asked about the same
masked pictures than those of two explanations, each with a seed of its own? And do they contain the
exact difference 95 times in 100? Measured on the bundled cifar10 against versions of it: with noise
on its weights, of so many per cent of each array's standard deviation, and with red and blue
swapped. Pictures are crops of the samples, with the squares of a grid of 3 x 4 as players, so that
all 4096 coalitions can be scored; the class is cifar10's first.

Printed for each version, method and number of evaluations (of each model, in both ways): how
correlated the two models' scores are; half the width of the difference's intervals, over that of
sqrt(a^2 + b^2) of the separate ones; the same of the root mean square error; and the share of exact
differences within the intervals of each way.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.drive import drive
from worker.adapters.model_input import fit_picture
from worker.engine.attribution import Attribution
from worker.engine.explanation import EngineTimings
from worker.engine.game.players import PlayerCoalitions
from worker.engine.game.superpixels import Grid, make_players
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.masking.maskers import make_masker
from worker.engine.methods.gp_covariance import shapley_weights
from worker.engine.methods.protocol import Game
from worker.engine.regions import Regions
from worker.engine.request import Request
from worker.engine.scoring.coalitions import score_coalitions
from worker.models.registry import BUNDLED, read_registry

Floats = NDArray[np.float64]
SAMPLES = Path(__file__).parents[1] / "service" / "samples"
ROWS, COLUMNS = 3, 4
PLAYERS = ROWS * COLUMNS
NUMBERS = np.arange(2**PLAYERS)
MEMBERS = (NUMBERS[:, np.newaxis] >> np.arange(PLAYERS)) % 2 == 1  # (2^M, M)
NOISE = (1, 5)  # per cent
VERSIONS = (*(f"noise of {share} %" for share in NOISE), "red and blue swapped")
BUDGETS = {  # evaluations of each model: whole permutations, or pairs
    "permutation": [count * (2 * PLAYERS + 1) for count in (4, 10, 20)],
    "kernel": [100, 250, 500],
    "gaussian_process": [50, 100, 250],
}


def main() -> None:
    options = _options()
    print("| version | correlation | method | evaluations | width | error | cover | separate |")
    print("|---|---|---|---|---|---|---|---|")
    tables = list(_tables(options.pictures))  # (2^M, 1 + versions) of each picture
    for number, version in enumerate(VERSIONS, start=1):
        games = [table[:, [0, number]] for table in tables]
        alike = np.mean([np.corrcoef(game[:, 0], game[:, 1]).item(1) for game in games])
        for method in options.methods:
            for budget in BUDGETS[method]:
                cells = _measure(method, games, budget, options.seeds)
                print(f"| {version} | {alike:.3f} | {method} | {budget} | {cells} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pairs", description=__doc__)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--methods", nargs="+", choices=list(BUDGETS), default=list(BUDGETS))
    return parser.parse_args()


def _measure(method: str, games: list[Floats], budget: int, seeds: int) -> str:
    widths, errors, covers = [], [], []
    for game in games:
        exact = _shapley(game[:, 0] - game[:, 1])
        both = np.column_stack([game, game[:, 0] - game[:, 1]])
        for seed in range(seeds):
            request = Request(method, max_evals=budget, seed=seed)
            pair = _explain(both, request, compared=True).regions
            one = _explain(game[:, :1], request).regions
            other = Request(method, max_evals=budget, seed=seed + 1000)
            two = _explain(game[:, 1:], other).regions
            reach = [_half_widths(each) for each in (pair, one, two)]
            joint, separate = reach[0][:, 2], np.hypot(reach[1][:, 0], reach[2][:, 0])
            off = [pair.values[:, 2] - exact, one.values[:, 0] - two.values[:, 0] - exact]
            widths.append([joint.mean(), separate.mean()])
            errors.append([(each**2).mean() for each in off])
            covers.append([np.abs(off[0]) <= joint + 1e-9, np.abs(off[1]) <= separate + 1e-9])
    width, error = np.mean(widths, axis=0), np.sqrt(np.mean(errors, axis=0))
    cover = np.mean(covers, axis=(0, 2))
    return (
        f"{width[0] / width[1]:.2f} | {error[0] / error[1]:.2f} | {cover[0]:.1%} | {cover[1]:.1%}"
    )


def _half_widths(regions: Regions) -> Floats:
    """Return half the width of each interval, (M, K)."""
    if regions.interval is None:
        raise ValueError("there are too few evaluations for intervals")
    return (regions.interval.high - regions.interval.low) / 2


def _explain(values: Floats, request: Request, *, compared: bool = False) -> Attribution:
    """Drive a method over a game of all coalitions, (2^M, K)."""
    grid = np.zeros((ROWS, COLUMNS, 1), np.float32)
    players = make_players(Grid(ROWS, COLUMNS), grid)
    game = Game(players, base_values=values[0], scores=values[-1], compared=compared)
    bits = 1 << np.arange(PLAYERS)
    return drive(game, request, lambda members: values[members.astype(np.int64) @ bits])


def _shapley(values: Floats) -> Floats:
    """Return the exact values of a game of all coalitions, (2^M,): (M,)."""
    half = NUMBERS[: len(NUMBERS) // 2]
    odd = (values[half] - values[len(NUMBERS) - 1 - half]) / 2
    exact: Floats = shapley_weights(np.where(MEMBERS[half], 1.0, -1.0)).T @ odd
    return exact


def _tables(pictures: int) -> Iterator[Floats]:
    """Score all coalitions of each picture by the model and its versions: (2^M, 1 + versions)."""
    with tempfile.TemporaryDirectory() as folder:
        registry = read_registry(_models(Path(folder)), weights_cache=None)
        models = [registry.get(name).predictor for name in registry.names]
        draw = np.random.default_rng(0)
        files = sorted(SAMPLES.glob("*.jpg"))
        for number in range(pictures):
            photo = np.asarray(Image.open(files[number % len(files)]).convert("RGB"))
            top, left = (int(draw.integers(side // 3)) for side in photo.shape[:2])
            part = photo[top : top + 2 * photo.shape[0] // 3, left : left + 2 * photo.shape[1] // 3]
            pixels, _ = fit_picture(part, models[0].input_shape, fit="stretch")
            labels = make_players(Grid(ROWS, COLUMNS), pixels).labels.astype(np.int64)
            masker = make_masker(MaskerSpec("mean"), pixels)
            scores = [
                score_coalitions(
                    model, masker, PlayerCoalitions(labels, MEMBERS), timings=EngineTimings()
                )
                for model in models
            ]
            best = int(scores[0][-1].argmax())
            yield np.column_stack([each[:, best] for each in scores])


def _models(folder: Path) -> Path:
    """Write the versions of cifar10 and the list of them."""
    import keras

    shutil.copy(BUNDLED.parent / "cifar10.keras", folder / "0.keras")
    draw = np.random.default_rng(1)
    for number, share in enumerate(NOISE, start=1):
        model = keras.saving.load_model(folder / "0.keras", compile=False)
        model.set_weights(
            [
                each + share / 100 * each.std() * draw.normal(size=each.shape)
                for each in model.get_weights()
            ]
        )
        model.save(folder / f"{number}.keras")
    entries = [f'[models.v{n}]\nfile = "{n}.keras"\n' for n in range(1 + len(NOISE))]
    swapped = '[models.swapped]\nfile = "0.keras"\npreprocessing = { channels = "bgr" }\n'
    path = folder / "models.toml"
    path.write_text("\n".join([*entries, swapped]))
    return path


if __name__ == "__main__":
    main()
