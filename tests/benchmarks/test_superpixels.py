import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks.drive import drive
from benchmarks.made_games import make_game
from benchmarks.photo_games import KnownScores, LazyModel, load, regress, split
from benchmarks.superpixels import main
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.methods.pair_sampling import draw_pairs
from worker.engine.methods.protocol import Game
from worker.engine.request import Request

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # by Keras
]


@pytest.fixture
def models(tmp_path):
    """A models file with a tiny network of three outputs."""
    import keras

    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.layers.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 64, offset=-2),
            keras.layers.Conv2D(8, 4, strides=4, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    network.save(tmp_path / "tiny.keras")
    path = tmp_path / "models.toml"
    path.write_text('[models.tiny]\nfile = "tiny.keras"\nlabels = ["ant", "bee", "crane"]\n')
    return path


@pytest.fixture
def run(models, tmp_path, monkeypatch, capsys):
    levels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(levels).save(tmp_path / "photos" / "noise.png")
    cache = tmp_path / "cache"

    def command(*arguments):
        options = ["--model", models, "--segments", 9, "--outputs", 2, "--cache", cache]
        words = map(str, ["superpixels", tmp_path / "photos", *options, *arguments])
        monkeypatch.setattr(sys, "argv", list(words))
        main()
        return capsys.readouterr().out

    return command


def rows(printed):
    """Return the cells of the table of estimates, without the CPU seconds."""
    lines = [line for line in printed.splitlines() if line.startswith("| gaussian_process")]
    return [line.strip("| ").split(" | ")[:-1] for line in lines]


def test_few_superpixels_have_exact_values(run, models, tmp_path):
    run("--seeds", 0)
    game = load(tmp_path / "cache" / "noise.npz")
    assert 4 <= len(game.truth) <= 12
    assert len(game.members) == 2 ** (len(game.truth) - 1) - 1
    known = KnownScores(game, LazyModel(str(models)), MaskerSpec("mean"), None)
    exact = drive(Game(game.players, *game.ends), Request("exact", max_evals=4096), known)
    assert game.truth == pytest.approx(exact.regions.values, abs=1e-9)
    assert np.abs(game.truth).max() > 0.01
    assert game.errors == pytest.approx(np.zeros_like(game.truth), abs=1e-12)


def test_the_row_of_all_evaluations_has_no_error(run):
    few, everything = rows(run("--seeds", 1, "--budgets", 20, 4096))
    assert few[:2] == ["gaussian_process", "20"]
    assert float(few[2].strip("%")) > 0.1
    assert everything == ["gaussian_process", "4096", "0.00%", "0.00%", "0.00%", "100.0%"]


def test_a_second_run_asks_no_model(run, tmp_path):
    options = ("--seeds", 2, "--budgets", 16, 24, "--truth", 40)
    first = run(*options)
    (tmp_path / "tiny.keras").unlink()
    assert rows(run(*options)) == rows(first)
    assert len(rows(first)) == 2


def test_a_cache_of_other_settings_is_refused(run):
    run("--seeds", 0)
    with pytest.raises(SystemExit, match=r"segments=9.*not of .*segments=8"):
        run("--seeds", 0, "--segments", 8)


def test_an_unknown_setting_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("--settings", "colour=blue")
    assert "'colour=blue' is no setting; accepted are" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["rough", "balanced"])
def test_the_truth_misses_by_its_standard_errors(kind):
    game = make_game(kind, players=20, seed=0)
    members = draw_pairs(20, 600, np.random.default_rng(0))
    both = np.stack([game(members), game(~members)], axis=1)[..., np.newaxis]
    ends = game(np.array([[0], [1]]).repeat(20, axis=1))[:, np.newaxis]
    parts = split(members)
    (one, first), (two, second) = (
        regress(members, both, ends, *each) for each in (parts, parts[::-1])
    )
    off = (one + two)[:, 0] / 2 - game.truth
    errors = np.hypot(first, second)[:, 0] / 2
    assert 0.5 < np.sqrt((off**2).mean() / (errors**2).mean()) < 1.5
    assert (off**2).sum() < 0.01 * (game.truth**2).sum()
