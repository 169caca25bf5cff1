"""Explanations side by side: each gets the values it would get alone, in full batches."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.games import FunctionPredictor, random_picture, smooth_function
from tests.engine.stopping import Stop, StopsAt
from worker.engine.errors import BudgetError, EngineError
from worker.engine.explanation import ExplanationResult, ExplanationRun
from worker.engine.game.superpixels import Grid
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.methods.registry import METHODS
from worker.engine.request import Request, Top
from worker.engine.scoring.driver import evaluate_all, explain

SHAPE = (6, 5, 3)
SMOOTH = smooth_function(SHAPE, outputs=4, seed=0)


def row_by_row(pictures):
    """Return SMOOTH of each picture alone, as rounding depends on the number of rows."""
    return np.concatenate([SMOOTH(picture[np.newaxis]) for picture in pictures])


def predictor():
    return FunctionPredictor(SHAPE, row_by_row)


def picture(seed):
    return random_picture(SHAPE, seed)


def painters():
    return [t for t in threading.enumerate() if t.name.startswith("painter")]


requests = st.builds(
    Request,
    method=st.sampled_from(list(METHODS)),
    masker=st.sampled_from(
        [MaskerSpec("inpaint_telea"), MaskerSpec("blur", (3, 3)), MaskerSpec("mean")]
    ),
    superpixels=st.sampled_from([Grid(2, 2), Grid(3, 2)]),
    outputs=st.sampled_from([Top(1), Top(3), (2, 0)]),
    max_evals=st.integers(64, 150),
    batch_size=st.sampled_from([2, 10, 50]),
    seed=st.integers(0, 3),
    metrics=st.sampled_from([(), ("deletion",)]),
)


@settings(deadline=None, derandomize=True, database=None, max_examples=25)
@given(wanted=st.lists(requests, min_size=1, max_size=5), batch=st.sampled_from([2, 3, 8, 64]))
def test_values_do_not_depend_on_other_explanations(wanted, batch):
    model = predictor()
    together = [ExplanationRun(model, picture(i), request) for i, request in enumerate(wanted)]
    endings = dict(evaluate_all(together, model, batch=batch))
    assert len(endings) == len(wanted)
    for i, explanation in enumerate(together):
        alone = explain(predictor(), picture(i), wanted[i])
        assert (
            endings[explanation].attribution.values.tobytes() == alone.attribution.values.tobytes()
        )
        assert endings[explanation].outputs.tolist() == alone.outputs.tolist()
        assert [c.area for c in endings[explanation].faithfulness] == [
            c.area for c in alone.faithfulness
        ]


def test_batches_are_filled_by_several_explanations():
    model = predictor()
    request = Request(masker=MaskerSpec("mean"), max_evals=100)
    together = [ExplanationRun(model, picture(i), request) for i in range(8)]
    assert len(list(evaluate_all(together, model, batch=32))) == 8
    alone = predictor()
    explain(alone, picture(0), request, batch=32)
    assert sum(model.batches) == 8 * sum(alone.batches) == 800
    assert len(model.batches) < 4 * len(alone.batches)


def test_only_two_buffers_hold_pictures_however_many_are_explained():
    model = predictor()
    request = Request(masker=MaskerSpec("inpaint_telea"), max_evals=60)
    list(
        evaluate_all(
            [ExplanationRun(model, picture(i), request) for i in range(12)], model, batch=8
        )
    )
    assert len(model.addresses) == 2
    assert max(model.batches) <= 9


def test_a_finished_explanation_can_be_used_while_others_continue():
    model = predictor()
    request = Request(masker=MaskerSpec("mean"), max_evals=100)
    together = [ExplanationRun(model, picture(i), request) for i in range(4)]
    scored = []
    for explanation, ending in evaluate_all(together, model, batch=8):
        assert isinstance(ending, ExplanationResult)
        scored.append((together.index(explanation), sum(model.batches)))
    assert [i for i, _ in scored] == [0, 1, 2, 3]
    assert scored[0][1] < scored[-1][1] == 400


@pytest.mark.parametrize("stop_at", [1, 3, 9])
def test_stopping_one_leaves_the_others(stop_at):
    model = predictor()
    request = Request(masker=MaskerSpec("mean"), max_evals=100)
    controls = {1: StopsAt(stop_at)}
    together = [
        ExplanationRun(model, picture(i), request, **({"control": controls[i]} if i == 1 else {}))
        for i in range(3)
    ]
    endings = dict(evaluate_all(together, model, batch=8))
    assert isinstance(endings[together[1]], Stop)
    for i in (0, 2):
        alone = explain(predictor(), picture(i), request).attribution.values
        assert (endings[together[i]].attribution.values == alone).all()
    assert not painters()


def test_an_explanation_that_fails_leaves_the_others():
    model = predictor()
    request = Request(masker=MaskerSpec("mean"), max_evals=100)
    impossible = replace(request, method="exact", superpixels=Grid(3, 3))
    together = [ExplanationRun(model, picture(i), r) for i, r in enumerate((request, impossible))]
    endings = dict(evaluate_all(together, model, batch=8))
    assert isinstance(endings[together[0]], ExplanationResult)
    assert isinstance(endings[together[1]], BudgetError)
    assert isinstance(endings[together[1]], EngineError)


def test_after_the_last_result_the_model_is_not_called():
    model = predictor()
    request = Request(masker=MaskerSpec("mean"), max_evals=100)
    together = [ExplanationRun(model, picture(i), request, control=StopsAt(4)) for i in range(3)]
    endings = dict(evaluate_all(together, model, batch=8))
    assert all(isinstance(ending, Stop) for ending in endings.values())
    assert len(model.batches) == 3


def test_leaving_early_leaves_no_thread():
    model = predictor()
    together = [
        ExplanationRun(model, picture(i), Request(masker=MaskerSpec("mean"))) for i in range(3)
    ]
    going = evaluate_all(together, model, batch=8)
    next(going)
    assert painters()
    going.close()  # type: ignore[attr-defined]  # it is a generator
    assert not painters()
