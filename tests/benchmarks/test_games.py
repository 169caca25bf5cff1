import re
import sys

import numpy as np
import pytest

from benchmarks.games import interpolate, main

PLAYERS = 8


@pytest.fixture
def folder(tmp_path):
    """Six games, each less of a sum than the one before: later ones need more evaluations."""
    coalitions = (np.arange(2**PLAYERS)[:, np.newaxis] >> np.arange(PLAYERS)) % 2
    for number in range(6):
        draw = np.random.default_rng(number)
        values = coalitions @ draw.normal(size=PLAYERS)
        values += number / 3 * draw.normal(size=len(coalitions))
        arrays = {"coalitions": coalitions, "values": values, "n_players": PLAYERS}
        np.savez(tmp_path / f"made_n8_{number}.npz", **arrays)
    return tmp_path


def table(folder, monkeypatch, capsys, games="*.npz"):
    options = ["--games", games, "--estimators", "kernel", "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", ["games", str(folder), *options])
    main()
    [line] = [line for line in capsys.readouterr().out.splitlines() if "| kernel |" in line]
    return line.strip("| ").split(" | ")[2:4]


def test_unlike_games_have_wide_bounds_about_the_median(folder, monkeypatch, capsys):
    five, one = table(folder, monkeypatch, capsys)
    for cell in (five, one):
        count, low, high = map(int, re.fullmatch(r"(\d+) \((\d+)\.\.(\d+)\)", cell).groups())
        assert low < count < high
    assert table(folder, monkeypatch, capsys) == [five, one]


def test_a_single_game_has_no_bounds(folder, monkeypatch, capsys):
    for cell in table(folder, monkeypatch, capsys, games="*_1.npz"):
        assert re.fullmatch(r"\d+", cell)


@pytest.mark.parametrize(
    ("errors", "needed"),
    [
        ([0.1, 0.01, 0.2, 0.001], 20 / np.sqrt(2)),  # halfway between logarithms, the first time
        ([0.01, 0.001, 0.001, 0.001], 10),
        ([0.1, 0.1, 0.1, 0.0], 40),
        ([0.1, 0.1, 0.1, 0.1], np.inf),
    ],
)
def test_evaluations_are_interpolated_between_budgets(errors, needed):
    evaluations = np.array([10.0, 20, 40, 80])
    goal = np.sqrt(0.1 * 0.01)
    assert interpolate(evaluations, np.array(errors), goal) == pytest.approx(needed, rel=0.01)
