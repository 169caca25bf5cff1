"""The worker can do what the API accepts, and cannot do what the API refuses.

All combinations of method, players, evaluations and shape of picture: the API decides by its
rules, then the engine sets up the same request, up to its first coalition.
"""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from service.api.http.problems import ApiError
from service.api.submission.methods import METHODS as TRAITS
from service.api.submission.resolve_settings import check_regions, resolve_settings
from service.infra.settings.api import ApiSettings
from service.schemas import masker_setting
from service.schemas.documents import ErrorCode, Status
from service.schemas.requests import (
    MAX_SUPERPIXELS,
    ExplanationSettings,
    Grid,
    Outputs,
    Pixels,
    Slic,
)
from tests.engine.games import FunctionPredictor, smooth_function
from tests.tiny import card
from tests.worker.cell_games import GOOD, Case, ended
from worker.adapters.engine_request import engine_request
from worker.engine.errors import BudgetError, RequestError
from worker.engine.explanation import ExplanationRun
from worker.engine.game.superpixels import MAX_SEGMENTS, PIXELS, make_pixels, make_players
from worker.engine.masking import masker_spec
from worker.engine.methods.player_limits import MAX_PLAYERS
from worker.engine.methods.protocol import Game
from worker.engine.methods.registry import METHODS
from worker.engine.request import MAX_SEED, Request

SHAPES = [(1, 1, 3), (1, 6, 1), (3, 2, 1), (4, 4, 3), (8, 12, 3), (28, 28, 1), (40, 30, 3)]
PLAYERS = [
    None,
    Pixels(kind="pixels"),
    Pixels(kind="pixels", channels="together"),
    *[Grid(kind="grid", rows=r, columns=c) for r, c in ((1, 1), (2, 3), (4, 4), (1, 17), (30, 30))],
    *[Slic(kind="slic", segments=count) for count in (2, 9, 16, 17, 50, 200)],
]
BUDGETS = [None, 2, 3, 13, 99, 100, 513, 5000, 65_536]
LIMITS = {"max_evals": ApiSettings().max_evals, "max_values": ApiSettings().max_values}


def admitted(settings, shape):
    """Return the settings as the API resolves them, or its refusal."""
    labels = [str(index) for index in range(3)]
    model = card(input_shape=shape, output_count=3, labels=labels)
    asked = settings.model_copy(update={"priority": "interactive"})
    try:
        resolved, _, _ = resolve_settings(asked, [model], **LIMITS)
        check_regions(resolved.superpixels, shape[:2], shape, resolved.fit, "image")
    except ApiError as error:
        refusal = error
    else:
        return resolved, None
    assert refusal.code is ErrorCode.INVALID_SETTINGS
    assert refusal.field.startswith("settings.")
    assert refusal.accepted
    return None, refusal


def set_up(settings, predictor, picture):
    """Set up the engine; return its refusal, or None."""
    try:
        explanation = ExplanationRun(predictor, picture, engine_request(settings, ["0", "1", "2"]))
        steps = explanation.steps()
        next(steps)
        for mask in (0.0, 1.0):
            steps.send(explanation.read(predictor(mask * picture[np.newaxis])))
    except StopIteration:
        return None
    except RequestError as error:
        return error
    return None


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_the_worker_can_do_exactly_what_the_api_accepts(method, shape):
    """Except for the number of SLIC's superpixels, which only the worker knows."""
    predictor = FunctionPredictor(shape, smooth_function(shape, 3, seed=0))
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    tried = 0
    for players, budget in product(PLAYERS, BUDGETS):
        settings = ExplanationSettings(
            method=method, superpixels=players, max_evals=budget, masker="mean"
        )
        resolved, refusal = admitted(settings, shape)
        if resolved is None:
            assert players is not None or budget is not None, refusal.detail  # not our defaults
            continue
        if resolved.max_evals > 5000 and method in ("permutation", "gaussian_process", "kernel"):
            continue  # like 5000, but slow
        tried += 1
        error = set_up(resolved, predictor, picture)
        if error is None:
            continue
        asked = resolved.superpixels
        assert isinstance(asked, Slic), error
        made = len(make_players(engine_request(resolved, []).superpixels, picture))
        assert made > asked.segments, error
        assert error.field in ("superpixels", "max_evals")
        assert error.accepted
    assert tried


@pytest.mark.parametrize("method", ["kernel", "exact", "gaussian_process"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 1, 1), (4, 4, 3)])
def test_default_settings_suit_a_small_picture(method, shape):
    resolved, refusal = admitted(ExplanationSettings(method=method), shape)
    assert refusal is None
    assert resolved.max_evals >= 2


@pytest.mark.parametrize(
    ("method", "segments", "max_evals", "accepted"),
    [
        ("exact", 50, None, {"players": {"maximum": 16}}),
        ("exact", 12, 1000, {"minimum": 4096}),
        ("permutation", 50, 100, {"minimum": 101}),
    ],
)
def test_slic_with_more_segments_than_pixels_is_refused(method, segments, max_evals, accepted):
    settings = ExplanationSettings(
        method=method,
        superpixels=Slic(kind="slic", segments=segments),
        max_evals=max_evals,
    )
    _, refusal = admitted(settings, (28, 28, 1))
    assert accepted.items() <= refusal.accepted.items()


def test_too_many_evaluations_for_memory_are_refused_with_the_number_that_fits():
    grid = Grid(kind="grid", rows=20, columns=20)
    ask = lambda n: admitted(  # noqa: E731
        ExplanationSettings(
            method="gaussian_process", superpixels=grid, max_evals=n, outputs=Outputs(top=1)
        ),
        (28, 28, 1),
    )
    most = ask(65_536)[1].accepted["maximum"]
    assert ask(most)[0].max_evals == most
    assert ask(most + 1)[1].accepted["maximum"] == most


def test_failures_in_the_worker_name_the_accepted_values():
    """For 15 segments SLIC makes 16 on a white square: 2^16 coalitions instead of 2^15."""
    asked = {"method": "exact", "superpixels": Slic(kind="slic", segments=15), "max_evals": 2**15}
    ending, _ = ended(Case(settings=GOOD | asked | {"target_standard_error": None}))
    assert ending.status is Status.FAILED
    assert ending.error.code is ErrorCode.INVALID_SETTINGS
    assert ending.error.field == "settings.max_evals"
    assert (ending.error.received, ending.error.accepted) == (2**15, {"minimum": 2**16})


def test_the_api_has_the_limits_of_the_engine():
    assert {
        name: traits.most_players for name, traits in TRAITS.items() if traits.most_players
    } == MAX_PLAYERS
    assert masker_setting.MAX_KERNEL == masker_spec.MAX_KERNEL
    assert masker_setting.MAX_LEVEL == masker_spec.LARGEST_LEVEL
    assert ExplanationSettings(seed=MAX_SEED).seed == MAX_SEED
    with pytest.raises(ValidationError):
        ExplanationSettings(seed=MAX_SEED + 1)
    assert MAX_SUPERPIXELS <= MAX_SEGMENTS


def test_the_guides_table_of_methods_is_true():
    guide = (Path(__file__).parents[2] / "docs" / "choosing.md").read_text()
    [line] = [each for each in guide.splitlines() if each.startswith("| `exact` |")]
    assert f"at most {MAX_PLAYERS['exact']} players" in line


@pytest.mark.parametrize("method", MAX_PLAYERS)
def test_the_worker_counts_the_superpixels_that_slic_really_makes(method):
    """So are the regions of a label map."""
    most = MAX_PLAYERS[method]
    game = Game(make_pixels(PIXELS, (1, most + 1, 1)), np.zeros(1), np.ones(1))
    with pytest.raises(BudgetError, match=f"{most + 1} players; {method} takes at most {most}.*"):
        METHODS[method](game, Request(method=method))
