"""Interactions of pairs of superpixels, from the settings to the arrays that are stored."""

import numpy as np
import pytest

from service.schemas.requests import Grid
from tests.worker.cell_games import Case, arbitrary, arrays_of, explained, saturating
from worker.engine.interactions import pairs_of

SETTINGS = {"interactions": 2, "target_standard_error": None, "metrics": []}
SIX = {"superpixels": Grid(kind="grid", rows=2, columns=3)}


def test_all_terms_add_up_to_the_change_of_the_score():
    case = Case(saturating, SETTINGS | SIX | {"max_evals": 30})
    arrays, outcome = arrays_of(case), explained(case)
    total = arrays["interaction_values"].sum(axis=0) + arrays["alone_values"].sum(axis=0)
    changes = [each.score - each.base_value for each in outcome.outputs]
    assert total == pytest.approx(changes, abs=1e-9)
    assert (arrays["interaction_pairs"] == pairs_of(6)).all()
    assert (arrays["interaction_low"] < arrays["interaction_high"]).all()


def test_exact_interactions_leave_no_error():
    arrays = arrays_of(Case(arbitrary, SETTINGS | SIX | {"max_evals": 64}))
    assert np.abs(arrays["interaction_values"]).max() > 0.1
    for name in ("interaction_standard_errors", "alone_standard_errors"):
        assert (arrays[name] == 0).all()
    assert (arrays["interaction_low"] == arrays["interaction_values"]).all()


def test_without_the_setting_there_are_no_interactions():
    arrays = arrays_of(Case(saturating, SETTINGS | SIX | {"max_evals": 30, "interactions": 1}))
    assert not [name for name in arrays if name.startswith(("interaction", "alone"))]
