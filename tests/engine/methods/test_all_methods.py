"""Properties of every method; a new one is tested as soon as it is in METHODS."""

import threading

import numpy as np
import pytest

from tests.engine.games import (
    FunctionPredictor,
    elements_as_superpixels,
    play,
    random_game,
    random_picture,
    smooth_function,
)
from worker.engine.game.coalitions import CHUNK
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.methods.protocol import Game
from worker.engine.methods.registry import METHODS
from worker.engine.request import Request, Top
from worker.engine.scoring.driver import explain

SHAPE = (2, 4, 1)  # 8 players; its image tree is balanced
ENOUGH = 10_000  # evaluations: more than all coalitions, or some 500 permutations
BUDGETS = [256, 300, ENOUGH]
every_method = pytest.mark.parametrize("name", METHODS)


def run(name, value, *, max_evals=ENOUGH, watch=lambda method, coalitions: None, **options):
    request = Request(name, max_evals=max_evals)
    return play(lambda game: METHODS[name](game, request), value, SHAPE, watch, **options)


def additive(mask):
    return np.array([mask[:1].sum() * 1.0, -mask[:, 1].sum() * 2.0])


@every_method
def test_values_of_an_additive_game_are_its_terms(name):
    attribution = run(name, additive)
    expected = np.zeros((*SHAPE, 2))
    expected[:1, ..., 0] = 1
    expected[:, 1, ..., 1] = -2
    assert attribution.values == pytest.approx(expected, abs=1e-9)
    assert attribution.efficiency_gap == pytest.approx([0, 0], abs=1e-9)
    assert attribution.solution_concept


@every_method
def test_base_values_and_scores_are_part_of_the_result(name):
    attribution = run(name, additive, max_evals=256)
    assert attribution.base_values.tolist() == [0, 0]
    assert attribution.scores.tolist() == [4, -4]
    assert 2 < attribution.evaluations <= 256


@every_method
@pytest.mark.parametrize("max_evals", BUDGETS)
def test_values_add_up_to_the_score_at_every_snapshot(name, max_evals):
    snapshots = []
    watch = lambda method, coalitions: snapshots.append(method.snapshot())  # noqa: E731
    snapshots.append(run(name, random_game(SHAPE, 3, seed=1), max_evals=max_evals, watch=watch))
    for snapshot in snapshots:
        assert snapshot.values.shape == (*SHAPE, 3)
        assert snapshot.efficiency_gap == pytest.approx([0, 0, 0], abs=1e-9)


@every_method
@pytest.mark.parametrize("max_evals", BUDGETS)
def test_the_plan_equals_the_evaluations_spent(name, max_evals):
    plans, asked = set(), [2]

    def watch(method, coalitions):
        plans.add(method.planned_evaluations)
        asked.append(len(coalitions))

    attribution = run(name, random_game(SHAPE, 1, seed=2), max_evals=max_evals, watch=watch)
    assert plans == {attribution.evaluations} == {sum(asked)}
    assert attribution.evaluations <= max_evals


@every_method
def test_no_step_yields_more_coalitions_than_a_chunk(name):
    shape, asked, request = (2, 5, 1), [], Request(name, max_evals=2**10)
    watch = lambda method, coalitions: asked.append(len(coalitions))  # noqa: E731
    play(lambda game: METHODS[name](game, request), random_game(shape, 1, seed=2), shape, watch)
    assert max(asked) <= CHUNK


@every_method
@pytest.mark.parametrize("null", [(0, 0, 0), (1, 2, 0), (1, 3, 0)])
def test_a_player_that_never_matters_gets_nothing(name, null):
    value = random_game(SHAPE, 2, seed=3)

    def without_null(mask):
        mask = mask.copy()
        mask[null] = False
        return value(mask)

    assert run(name, without_null).values[null] == pytest.approx([0, 0], abs=1e-6)


@every_method
def test_symmetric_players_get_the_same(name):
    """Up to the standard errors of methods that sample; other methods have none, or 0."""
    table = np.random.default_rng(4).normal(size=(9, 1))
    attribution = run(name, lambda mask: table[mask.sum()])
    errors = attribution.standard_errors
    off = np.abs(attribution.values - (table[8] - table[0]) / 8)
    assert (off <= 1e-6 + (0 if errors is None else 4 * errors)).all()
    assert off.max() < 0.2


@every_method
def test_values_are_linear_in_the_game(name):
    one, other = random_game(SHAPE, 2, seed=5), random_game(SHAPE, 2, seed=6)
    combined = run(name, lambda mask: 2 * one(mask) - 3 * other(mask)).values
    parts = 2 * run(name, one).values - 3 * run(name, other).values
    assert combined == pytest.approx(parts, abs=1e-6)


@every_method
def test_the_same_seed_gives_the_same_bits(name):
    picture = random_picture((2, 4, 1), 0)
    predictor = FunctionPredictor((2, 4, 1), smooth_function((2, 4, 1), 4, seed=0))
    request = Request(
        method=name, masker=MaskerSpec("blur", (3, 3)), outputs=Top(2), max_evals=256, seed=3
    )
    first, second = (explain(predictor, picture, request) for _ in range(2))
    assert first.attribution.values.tobytes() == second.attribution.values.tobytes()


@every_method
def test_additional_measures_are_within_their_ranges(name):
    attribution = run(name, random_game(SHAPE, 3, seed=7), max_evals=256)
    if attribution.standard_errors is not None:
        assert attribution.standard_errors.shape == (*SHAPE, 3)
        assert (attribution.standard_errors >= 0).all()
    if attribution.even_energy is not None:
        assert (np.abs(attribution.even_energy - 0.5) <= 0.5).all()
    if attribution.held_out_fidelity is not None:
        assert (attribution.held_out_fidelity <= 1).all()


@every_method
def test_superpixels_are_part_of_the_result(name):
    players = elements_as_superpixels(SHAPE)
    attribution = run(name, random_game(SHAPE, 1, seed=8), players=players)
    assert attribution.players is players.labels
    assert run(name, random_game(SHAPE, 1, seed=8)).players is None


@every_method
def test_a_snapshot_can_be_taken_before_the_first_step(name):
    method = METHODS[name](_game(), Request(name, max_evals=ENOUGH))
    assert method.snapshot().efficiency_gap == pytest.approx([0, 0], abs=1e-9)
    assert method.snapshot().evaluations == 2


@every_method
def test_closed_at_any_step_it_leaves_a_valid_result_and_nothing_running(name):
    threads, step = set(threading.enumerate()), 0
    while (method := _closed_after(name, step)) is not None:
        snapshot = method.snapshot()
        assert snapshot.efficiency_gap == pytest.approx([0, 0], abs=1e-9)
        assert snapshot.evaluations <= method.planned_evaluations
        step += 1
    assert step
    assert set(threading.enumerate()) == threads


def _closed_after(name, steps):
    """Return a method whose run was closed after some steps; None if it takes fewer."""
    method = METHODS[name](_game(), Request(name, max_evals=600))
    run, draw = method.run(), np.random.default_rng(9)
    try:
        coalitions = next(run)
        for _ in range(steps):
            coalitions = run.send(draw.normal(size=(len(coalitions), 2)))
    except StopIteration:
        return None
    run.close()
    return method


def _game():
    return Game(elements_as_superpixels(SHAPE), np.array([0.5, -1.0]), np.array([2.0, 3.0]))
