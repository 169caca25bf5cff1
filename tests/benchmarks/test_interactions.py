"""The benchmark of interactions measures against the truth."""

import sys

import numpy as np
import pytest

from benchmarks.games import Table
from benchmarks.interactions import exact_interactions, main
from benchmarks.made_games import make_game
from tests.engine.games import interactions_by_definition
from worker.engine.interactions import pairs_of

PLAYERS = 6
MEMBERS = np.arange(2**PLAYERS)[:, np.newaxis] >> np.arange(PLAYERS) & 1


def test_interactions_of_a_table_are_those_of_the_definition():
    table = Table(PLAYERS, np.random.default_rng(0).normal(size=2**PLAYERS))
    value = lambda mask: table(mask.reshape(1, -1))  # noqa: E731
    truth = interactions_by_definition(value, (1, PLAYERS, 1))
    assert exact_interactions(table) == pytest.approx(truth[:, 0], abs=1e-12)


def test_interactions_of_rough_games_follow_from_their_formula():
    game = make_game("rough", PLAYERS, seed=3)
    truth = exact_interactions(Table(PLAYERS, game(MEMBERS)))
    assert game.interactions[tuple(pairs_of(PLAYERS).T)] == pytest.approx(truth, abs=1e-12)


def test_estimators_are_measured_side_by_side(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.interactions.MANY", 10)
    monkeypatch.setattr("benchmarks.interactions.MADE_PLAYERS", PLAYERS)
    names = ["gaussian_process", "shapiq KernelSHAPIQ"]
    options = [str(tmp_path), "--games", "1", "--seeds", "1", "--estimators", *names]
    monkeypatch.setattr(sys, "argv", ["interactions", *options])
    main()
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[3:]]
    assert [row[:2] for row in rows] == [
        *([f"{kind}, 6 players", name] for kind in ("sparse", "dense", "rough") for name in names),
        ["rough, 10 players", "gaussian_process"],
    ]
    errors = np.array([row[2:5] for row in rows], dtype=float)
    assert (errors[0::2, 2] < 0.7).all()  # at 16 evaluations a player
