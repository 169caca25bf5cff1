"""The worker's table of regions agrees with its arrays, element by element."""

import numpy as np
import pytest

from service.schemas.requests import Grid, Pixels
from tests.worker.cell_games import CELLS, SIDE, Case, additive, arrays_of, explained, saturating

CELLS_OF_GRID = {"target_standard_error": None, "metrics": []}
PIXELS = {"superpixels": Pixels(kind="pixels")}
CASES = {
    "partition of superpixels": {"method": "partition", "max_evals": 60},
    "partition of pixels": {"method": "partition", "max_evals": 300, **PIXELS},
    "permutation": {"method": "permutation", "max_evals": 200},
    "permutation of pixels": {"method": "permutation", "max_evals": 7000, **PIXELS},
    "kernel": {"method": "kernel", "max_evals": 100},
    "exact": {"method": "exact", "superpixels": Grid(kind="grid", rows=2, columns=3)},
    "gaussian_process": {"max_evals": 100},
}


def told(**settings):
    return Case(saturating, CELLS_OF_GRID | settings)


@pytest.mark.parametrize("name", CASES)
def test_a_region_has_the_sums_over_its_elements(name):
    """Values add up, and so do errors, as a region's elements have one common error."""
    arrays = arrays_of(told(**CASES[name]))
    labels = arrays["regions"].reshape(SIDE, SIDE, -1)
    labels = np.broadcast_to(labels, arrays["values"].shape[:3])
    count = labels.max() + 1
    assert set(np.unique(labels)) == set(range(count))
    for stored, of_region in (("values", "values"), ("standard_errors", "standard_errors")):
        if stored not in arrays:
            assert f"region_{of_region}" not in arrays
            continue
        for k in range(arrays["values"].shape[3]):
            weights = arrays[stored][..., k].ravel().astype(np.float64)
            sums = np.bincount(labels.ravel(), weights=weights, minlength=count)
            found = arrays[f"region_{of_region}"][:, k]
            assert found == pytest.approx(sums, rel=1e-4, abs=1e-5)
    if "region_low" in arrays:
        assert (arrays["region_low"] <= arrays["region_values"]).all()
        assert (arrays["region_values"] <= arrays["region_high"]).all()


@pytest.mark.parametrize("name", CASES)
def test_players_and_regions_are_counted(name):
    case = told(**CASES[name])
    outcome, arrays = explained(case), arrays_of(case)
    assert arrays["region_players"].sum() == outcome.players
    assert outcome.region_count == len(arrays["region_players"])
    divided = (arrays["region_players"] == 1).all()
    assert divided == ("partition" not in name)
    assert outcome.unresolved > 0 or divided


def test_superpixels_are_regions_and_have_the_terms_of_an_additive_game():
    arrays = arrays_of(Case(additive, CELLS_OF_GRID | {"max_evals": 400}))
    np.testing.assert_array_equal(arrays["regions"], arrays["players"])
    assert len(arrays["region_values"]) == CELLS
    width = arrays["region_high"] - arrays["region_low"]
    off = np.abs(arrays["region_values"] - additive(np.eye(CELLS))[:, :2])
    assert (off <= width / 2 + 1e-6).mean() > 0.9


def test_the_padding_of_a_photo_has_no_region():
    arrays = arrays_of(Case(additive, CELLS_OF_GRID | {"fit": "pad"}, size=(60, 30)))
    regions = arrays["regions"]
    assert regions.shape == (SIDE, SIDE)
    inside = np.zeros((SIDE, SIDE), bool)
    inside[SIDE // 4 : SIDE // 4 + SIDE // 2] = True
    np.testing.assert_array_equal(regions >= 0, inside)


def test_too_many_regions_are_left_out(monkeypatch):
    case = told(**CASES["partition of pixels"])
    count = explained(case).region_count
    monkeypatch.setattr("worker.adapters.results.MAX_REGIONS", count - 1)
    assert explained(case).region_count is None
    assert not [name for name in arrays_of(case) if name.startswith("region")]
    monkeypatch.undo()
    monkeypatch.setattr("worker.adapters.results.MAX_NUMBERS", 2 * count - 1)
    assert explained(case).region_count is None
