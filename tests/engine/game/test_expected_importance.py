"""What is expected of superpixels follows from how they look."""

import numpy as np
import pytest

from worker.engine.game.expected_importance import STEPS, WIDEST, expect_importance
from worker.engine.game.superpixels import Grid, LabelMap, make_players

H = W = 30
GREY = np.full((H, W, 3), 128, np.float32)


def expected(shown, players=None):
    """Return what is expected where hidden superpixels are grey."""
    return expect_importance(players or make_players(Grid(3, 3), shown), shown, GREY)


def test_regions_that_masking_changes_more_are_expected_to_matter_more():
    shown = GREY.copy()
    shown[:10, :10] += 60  # superpixel 0
    shown[:10, -10:] += 20  # superpixel 2
    logs = expected(shown)
    assert logs[0] > logs[2] > logs[6]
    assert logs[6] == logs[8]  # both unchanged, as far from the middle


def test_the_middle_is_expected_to_matter_more_than_the_edge():
    logs = expected(GREY)
    assert logs[4] > logs[1] == logs[3] == logs[5] == logs[7] > logs[0] == logs[8]


def test_edges_are_expected_to_matter_more_than_flat_colour():
    shown = GREY + 40
    shown[:10, :10] += np.where(np.indices((10, 10)).sum(axis=0) % 2, 20, -20)[..., np.newaxis]
    logs = expected(shown)
    assert logs[0] > logs[2] == logs[6]


def test_large_regions_are_expected_to_matter_more():
    labels = np.zeros((H, W), np.int64)
    labels[:, 10:] = 1  # twice as large, as near to the middle once both are mirrored
    labels[:, 20:] = 2
    labels[15:, 20:] = 3
    logs = expected(GREY, make_players(LabelMap(labels), GREY))
    assert logs[0] > logs[2] == logs[3]


@pytest.mark.parametrize("seed", range(3))
def test_logs_are_rounded_within_bounds_and_centred(seed):
    random = np.random.default_rng(seed)
    shown = (random.random((H, W, 3)) * 255 * (random.random((H, W, 1)) > 0.7)).astype(np.float32)
    logs = expected(shown)
    assert (logs * STEPS == np.rint(logs * STEPS)).all()
    assert np.abs(logs).max() <= WIDEST
    assert abs(logs.mean()) < 1 / STEPS


def test_other_superpixels_of_the_same_picture_keep_their_places():
    labels = np.array([[7, 7, 3], [7, 3, 3]])
    players = make_players(LabelMap(labels), np.zeros((2, 3, 1), np.float32))
    assert players.centres == pytest.approx(
        np.array([[1.1667, 2.1667], [0.8333, 0.8333]]), abs=1e-4
    )
    assert players.means(np.array([[1.0, 2, 3], [3, 4, 5]])) == pytest.approx([4, 2])
