"""Coalitions that are known beforehand are scored in batches, which can be interrupted."""

import numpy as np
import pytest

from worker.engine.control import Interruption
from worker.engine.errors import OutputsError, ScoresError
from worker.engine.explanation import EngineTimings
from worker.engine.game.players import PlayerCoalitions
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.masking.maskers import make_masker
from worker.engine.scoring.coalitions import link_scores, score_coalitions

LABELS = np.arange(12).reshape(3, 4) // 4 * 2 + np.arange(4) // 2  # (3, 4), 6 players
PICTURE = np.random.default_rng(0).uniform(0, 255, (3, 4, 3)).astype(np.float32)
MEMBERS = np.random.default_rng(1).random((7, 6)) < 0.5
MASKERS = [MaskerSpec("inpaint_telea"), MaskerSpec("mean")]


class Mean:
    """Scores a picture by the means of its channels; records the sizes of batches."""

    input_shape = PICTURE.shape
    n_outputs = 3
    backend, device, dtype = "none", "cpu", "float32"

    def __init__(self):
        self.sizes = []

    def __call__(self, pictures):
        self.sizes.append(len(pictures))
        return pictures.mean(axis=(1, 2))


class Watch:
    """Interrupts after this many batches."""

    def __init__(self, batches):
        self.left = batches
        self.told = []

    def check(self):
        if not self.left:
            raise Interruption
        self.left -= 1

    def offer(self, make):
        pass

    def progress(self, done, planned):
        self.told.append((done, planned))


@pytest.mark.parametrize("spec", MASKERS, ids=str)
@pytest.mark.parametrize(("batch", "sizes"), [(64, [7]), (3, [4, 3]), (2, [3, 2, 2])])
def test_batches_change_no_score(spec, batch, sizes):
    masker, predictor, spent = make_masker(spec, PICTURE), Mean(), EngineTimings()
    coalitions = PlayerCoalitions(LABELS, MEMBERS)
    scores = score_coalitions(predictor, masker, coalitions, timings=spent, batch=batch)
    expected = [masker(coalitions[i : i + 1]).mean(axis=(1, 2))[0] for i in range(7)]
    np.testing.assert_array_equal(scores, np.array(expected, np.float64))
    assert predictor.sizes == sizes
    assert (spent.evaluations, spent.batches) == (7, len(sizes))
    assert spent.slots == sum(max(batch, size) for size in sizes)


def test_interruptions_are_checked_between_batches():
    predictor, watch = Mean(), Watch(batches=1)
    masker = make_masker(MaskerSpec("mean"), PICTURE)
    coalitions, spent = PlayerCoalitions(LABELS, MEMBERS), EngineTimings()
    with pytest.raises(Interruption):
        score_coalitions(predictor, masker, coalitions, timings=spent, control=watch, batch=3)
    assert (predictor.sizes, watch.told) == ([4], [(4, 7)])


def test_scores_are_linked_for_the_outputs_in_their_order():
    scores = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.125, 0.75]])
    linked, outputs = link_scores(scores, (2, 0), "logit")
    assert outputs.tolist() == [2, 0]
    np.testing.assert_allclose(linked[2], [np.log(3), -np.log(7)])
    np.testing.assert_array_equal(link_scores(scores, (1,), "identity")[0], scores[:, 1:2])


def test_outputs_must_exist_and_their_scores_be_finite():
    scores = np.array([[0.5, np.nan], [0.5, 0.5]])
    assert link_scores(scores, (0,), "identity")[0].tolist() == [[0.5], [0.5]]
    with pytest.raises(ScoresError, match=r"outputs \[1\]"):
        link_scores(scores, (1,), "identity")
    with pytest.raises(OutputsError, match=r"outputs 0\.\.1"):
        link_scores(scores, (2,), "identity")
