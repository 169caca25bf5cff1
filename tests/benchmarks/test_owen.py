import sys

import numpy as np
import pytest

from benchmarks.owen import main


def rows(printed):
    """Return method, evaluations, error and cover of each row, as text."""
    lines = [line.strip("| ").split(" | ") for line in printed.splitlines()[2:]]
    return [[*cells[3:6], *cells[6:7]] for cells in lines]


@pytest.fixture
def run(monkeypatch, capsys):
    def printed(*options):
        monkeypatch.setattr(sys, "argv", ["benchmarks.owen", *map(str, options)])
        main()
        return rows(capsys.readouterr().out)

    return printed


def test_errors_fall_with_the_evaluations_and_intervals_cover_the_values(run):
    found = run("--players", 12, "--kinds", "rough", "--games", 3, "--seeds", 1)
    assert {method for method, *_ in found} == {
        "gaussian_process",
        "gaussian_process, drawn",
        "partition",
        "partition, batch_size 2",
    }
    for method in {method for method, *_ in found}:
        errors = [float(row[2]) for row in found if row[0] == method]
        assert len(errors) >= 3
        assert errors[-1] < errors[0] / 4
    covers = [float(row[3].strip("%")) for row in found if row[0] == "gaussian_process"]
    assert 80 < np.mean(covers) <= 100


def test_a_game_of_known_coalitions_is_explained_over_its_grid(run, tmp_path):
    numbers = np.arange(2**9)
    coalitions = numbers[:, np.newaxis] >> np.arange(9) & 1
    values = np.tanh(coalitions @ np.random.default_rng(0).normal(size=9))
    np.savez(tmp_path / "made_n9_1.npz", n_players=9, coalitions=coalitions, values=values)
    found = run(tmp_path, "--players", "--seeds", 1, "--methods", "gaussian_process")
    assert [row[1] for row in found] == ["18", "36"]  # 68 are all of the tree
    assert float(found[1][2]) < float(found[0][2]) < 1
