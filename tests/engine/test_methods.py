"""What holds for every method; a new one joins by being in METHODS."""

import numpy as np
import pytest

from tests.engine.games import FunctionPredictor, play, random_picture, smooth_function
from worker.engine import METHODS
from worker.engine.evaluate import explain
from worker.engine.request import Request, Top

SHAPE = (4, 4, 1)
every_method = pytest.mark.parametrize("name", METHODS)


def additive(mask):
    return np.array([mask[:2].sum() * 1.0, -mask[:, 1].sum() * 2.0])


@every_method
def test_values_of_an_additive_game_are_its_terms(name):
    request = Request(method=name, max_evals=10_000)
    attribution = play(lambda game: METHODS[name](game, request), additive, SHAPE)
    expected = np.zeros((*SHAPE, 2))
    expected[:2, ..., 0] = 1
    expected[:, 1, ..., 1] = -2
    assert attribution.values == pytest.approx(expected, abs=1e-9)
    assert attribution.efficiency_gap == pytest.approx([0, 0], abs=1e-9)
    assert attribution.solution_concept


@every_method
def test_the_ends_are_part_of_the_result(name):
    request = Request(method=name, max_evals=40)
    attribution = play(lambda game: METHODS[name](game, request), additive, SHAPE)
    assert attribution.base_values.tolist() == [0, 0]
    assert attribution.scores.tolist() == [8, -8]
    assert 2 < attribution.evaluations <= 41


@every_method
def test_the_same_seed_gives_the_same_bits(name):
    picture = random_picture((8, 8, 3), 0)
    predictor = FunctionPredictor((8, 8, 3), smooth_function((8, 8, 3), 4, seed=0))
    request = Request(method=name, masker="inpaint_telea", outputs=Top(2), max_evals=120, seed=3)
    first, second = (explain(predictor, picture, request) for _ in range(2))
    assert first.attribution.values.tobytes() == second.attribution.values.tobytes()


@every_method
def test_a_snapshot_can_be_taken_before_the_first_step_and_after_a_close(name):
    method_of = METHODS[name]
    snapshots = []

    def watch(method, coalitions):
        snapshots.append(method.snapshot())

    play(lambda game: method_of(game, Request(method=name)), additive, SHAPE, watch)
    assert snapshots
    for snapshot in snapshots:
        assert snapshot.values.shape == (*SHAPE, 2)
        assert np.isfinite(snapshot.values).all()
