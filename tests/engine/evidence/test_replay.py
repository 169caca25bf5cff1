"""What an explanation found is found again from its transcript, to the last bit."""

import numpy as np
import pytest

from tests.engine.games import FunctionPredictor, random_picture, smooth_function
from tests.engine.stopping import Stop, StopsAt
from worker.engine.evidence.replay import TranscriptError, replay
from worker.engine.evidence.transcript import ROW, Transcript, rows_of
from worker.engine.explanation import ExplanationRun
from worker.engine.game.image_tree import Box, BoxCoalitions
from worker.engine.game.players import PlayerCoalitions
from worker.engine.game.superpixels import Grid, LabelMap, Pixels, Slic, make_players
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.methods.protocol import Game
from worker.engine.methods.registry import METHODS
from worker.engine.request import Request, Top
from worker.engine.scoring.driver import evaluate

SHAPE = (10, 9, 3)
PICTURE = random_picture(SHAPE, 0)
SMOOTH = smooth_function(SHAPE, outputs=5, seed=0)
SUPERPIXELS = {"exact": Grid(2, 4), "partition": Slic(12), "permutation": Pixels("together")}
every_method = pytest.mark.parametrize("method", METHODS)


def request_of(method, **settings):
    settings = {"max_evals": 300, "outputs": Top(2), "metrics": ("deletion",), **settings}
    superpixels = SUPERPIXELS.get(method, Grid(4, 5))
    return Request(method, MaskerSpec("mean"), superpixels=superpixels, **settings)


def explained(request, stop_at=-1, batch=16):
    run = ExplanationRun(
        FunctionPredictor(SHAPE, SMOOTH), PICTURE, request, control=StopsAt(stop_at)
    )
    try:
        return evaluate(run, FunctionPredictor(SHAPE, SMOOTH), batch=batch)
    except Stop:
        return run.snapshot()


def replayed(found, *, partial=False, **changed):
    """Replay from what a record keeps: labels in place of the segmentation, and the picture."""
    labels, attribution = found.attribution.players, found.attribution
    players = make_players(
        found.request.superpixels if labels is None else LabelMap(labels), PICTURE
    )
    game = Game(players, attribution.base_values, attribution.scores, expected=found.expected)
    transcripts = {"transcript": found.transcript, "curves": found.curve_transcript, **changed}
    return replay(game, found.request, **transcripts, partial=partial)


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return a == b


@every_method
def test_a_replay_gives_the_same_bits(method):
    found = explained(request_of(method))
    again = replayed(found)
    for name in ("values", "standard_errors", "held_out_fidelity", "even_energy", "unresolved"):
        assert same(getattr(found.attribution, name), getattr(again.attribution, name)), name
    assert same(found.attribution.regions.values, again.attribution.regions.values)
    assert len(again.curves) == 2
    for curve, other in zip(found.faithfulness, again.curves, strict=True):
        assert same(curve.y, other.y)
        assert same(curve.baseline, other.baseline)


def test_owen_values_are_replayed_from_the_labels():
    found = explained(request_of("gaussian_process", solution_concept="owen", max_evals=120))
    again = replayed(found).attribution
    assert found.attribution.solution_concept == "Owen values of a fixed binary superpixel tree"
    assert same(found.attribution.values, again.values)
    assert same(found.attribution.standard_errors, again.standard_errors)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"partition"}))
@pytest.mark.parametrize("batches", [1, 2, 3, 5, 9])  # of a step of 256, scored before the stop
def test_what_is_scored_of_a_step_counts_when_it_is_stopped(method, batches):
    found = explained(request_of(method), 3 + batches, batch=2)
    kept, attribution = len(found.transcript.rows), found.attribution
    change = attribution.scores - attribution.base_values
    assert 2 * batches - 1 <= kept <= 3 * batches
    assert attribution.evaluations == 2 + kept
    assert attribution.values.sum(axis=(0, 1, 2)) == pytest.approx(change)
    assert same(attribution.values, replayed(found, partial=True).attribution.values)


@every_method
@pytest.mark.parametrize("stop_at", [4, 6, 9])
def test_a_partial_result_is_replayed_from_its_scores(method, stop_at):
    found = explained(request_of(method, metrics=()), stop_at)
    again = replayed(found, partial=True)
    assert same(found.attribution.values, again.attribution.values)
    assert again.attribution.evaluations == 2 + len(found.transcript.rows)


def test_an_explanation_stopped_amid_its_curves_is_replayed_without_them():
    whole = explained(request_of("partition"))
    found = next(
        stopped
        for stop_at in range(10, 100)
        if len((stopped := explained(request_of("partition"), stop_at)).transcript.rows)
        == len(whole.transcript.rows)
    )
    assert not found.faithfulness
    again = replayed(found, partial=True)
    assert same(found.attribution.values, again.attribution.values)
    assert again.curves == ()


@every_method
def test_a_changed_coalition_is_named(method):
    found = explained(request_of(method))
    rows = list(found.transcript.rows)
    rows[7] = bytes([rows[7][0] ^ 1]) + rows[7][1:]
    changed = Transcript(found.transcript.steps, rows, found.transcript.scores)
    with pytest.raises(TranscriptError, match="coalition 7 recorded for the method is not"):
        replayed(found, transcript=changed)


@every_method
def test_a_changed_score_gives_other_values(method):
    found = explained(request_of(method, metrics=()))
    scores = [each.copy() for each in found.transcript.scores]
    scores[-1][-1, 0] += 0.5
    changed = Transcript(found.transcript.steps, found.transcript.rows, scores)
    try:
        again = replayed(found, transcript=changed)
    except TranscriptError:
        return  # it led the method elsewhere
    assert not same(found.attribution.values, again.attribution.values)


@every_method
def test_a_transcript_that_ends_early_is_complete_for_no_method(method):
    found = explained(request_of(method, metrics=()))
    whole = found.transcript
    last = whole.steps[-1]
    cut = Transcript(whole.steps[:-1], whole.rows[:-last], whole.scores[:-1])
    with pytest.raises(TranscriptError, match="replay of the method goes on"):
        replayed(found, transcript=cut)


@every_method
def test_a_transcript_that_goes_on_is_refused(method):
    found = explained(request_of(method))
    whole = found.transcript
    longer = Transcript(
        [*whole.steps, 1], [*whole.rows, b"x"], [*whole.scores, whole.scores[-1][:1]]
    )
    with pytest.raises(TranscriptError, match=f"replay of the method ends after {len(whole.rows)}"):
        replayed(found, transcript=longer)


def test_curves_are_checked_as_well():
    found = explained(request_of("kernel"))
    curves = found.curve_transcript
    rows = [*curves.rows[:-1], bytes(len(curves.rows[-1]))]
    with pytest.raises(TranscriptError, match="recorded for the metrics is not"):
        replayed(found, curves=Transcript(curves.steps, rows, curves.scores))
    with pytest.raises(TranscriptError, match="replay of the metrics goes on after the 0"):
        replayed(found, curves=Transcript())


def test_rows_have_a_bit_for_each_player():
    members = np.zeros((2, 10), dtype=bool)
    members[1, [0, 9]] = True
    coalitions = PlayerCoalitions(np.arange(10).reshape(2, 5), members)
    assert rows_of(coalitions) == [bytes(2), bytes([0b1000_0000, 0b0100_0000])]


def test_rows_have_the_bounds_of_each_box():
    box = Box(0, 300, 2, 3, 0, 1)
    [row] = rows_of(BoxCoalitions((300, 4, 1), [(box, Box(0, 1, 0, 1, 0, 1))]))
    assert np.frombuffer(row, "<u2").tolist() == [*box, 0, 1, 0, 1, 0, 1]


def test_a_long_row_is_kept_as_its_digest():
    members = np.zeros((2, 8 * ROW + 1), dtype=bool)
    members[1, -1] = True
    first, second = rows_of(PlayerCoalitions(np.zeros((1, 1), np.int64), members))
    assert len(first) == len(second) == 16
    assert first != second
