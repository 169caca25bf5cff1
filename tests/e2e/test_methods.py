"""Every method, with its metrics, as a real job of the running service."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image

from service.client import ShapshotError
from service.client.errors import ExplanationCanceledError
from service.schemas.documents import ErrorCode
from service.schemas.requests import ExplanationSettings, Grid, Labels, Outputs, Pixels, Slic
from service.schemas.scores import Coalition
from tests.e2e.conftest import Running
from tests.e2e.pictures import SAMPLE, cat
from tests.encoded import encoded

JOBS = {
    "partition": ExplanationSettings(superpixels=Slic(kind="slic", segments=12), max_evals=60),
    "permutation": ExplanationSettings(
        method="permutation", superpixels=Grid(kind="grid", rows=3, columns=3), max_evals=100
    ),
    "kernel": ExplanationSettings(
        method="kernel",
        superpixels=Slic(kind="slic", segments=12),
        masker="constant(255)",
        max_evals=80,
    ),
    "exact": ExplanationSettings(method="exact", superpixels=Grid(kind="grid", rows=2, columns=3)),
    "gaussian_process": ExplanationSettings(
        method="gaussian_process", superpixels=Slic(kind="slic", segments=12), max_evals=80
    ),
}


@pytest.mark.parametrize("method", JOBS)
def test_every_method_explains_the_sample(running: Running, method: str) -> None:
    settings = JOBS[method].model_copy(update={"outputs": Outputs(top=2)})
    explanation = running.client.explain(SAMPLE, settings)
    arrays = running.client.attributions(explanation.id)
    assert explanation.outputs
    for position, output in enumerate(explanation.outputs):
        total = arrays.values[..., position].sum(dtype=np.float64)
        assert total == pytest.approx(output.score - output.base_value, abs=1e-4)
        assert 0 <= output.sparseness < 1
    assert explanation.players == arrays.players.max() + 1
    assert explanation.progress.evaluations <= explanation.settings.max_evals
    cards = httpx.get(f"{running.url}/v1/methods").json()["items"]
    [card] = [card for card in cards if card["name"] == method]
    assert explanation.solution_concept
    assert explanation.solution_concept.partition(" of ")[0] in card["solution_concept"]


@pytest.mark.parametrize("method", ["permutation", "kernel", "gaussian_process"])
def test_methods_that_sample_give_standard_errors(running: Running, method: str) -> None:
    explanation = running.client.explain(SAMPLE, JOBS[method])
    arrays = running.client.attributions(explanation.id)
    errors = arrays.standard_errors
    assert errors.shape == arrays.values.shape
    assert (errors >= 0).all()
    assert errors.max() > 0


def test_methods_agree_on_the_same_players(running: Running) -> None:
    """They are equal if every coalition is scored; permutations come close."""
    grid = Grid(kind="grid", rows=2, columns=2)
    found = {}
    for method in ("exact", "kernel", "gaussian_process", "permutation"):
        settings = ExplanationSettings(
            method=method, superpixels=grid, masker="mean", max_evals=400, outputs=Outputs(top=1)
        )
        explanation = running.client.explain(SAMPLE, settings)
        found[method] = running.client.attributions(explanation.id).values
    largest = np.abs(found["exact"]).max()
    np.testing.assert_allclose(found["kernel"], found["exact"], atol=1e-5 * largest)
    np.testing.assert_allclose(found["gaussian_process"], found["exact"], atol=1e-2 * largest)
    np.testing.assert_allclose(found["permutation"], found["exact"], atol=0.2 * largest)


def test_an_uploaded_label_map_defines_the_players(running: Running) -> None:
    width, height = cat().size
    labels = np.full((height, width), 9, np.uint8)
    labels[height // 2 :] = 200
    labels[:, width // 2 :] += 1
    settings = ExplanationSettings(
        method="exact",
        superpixels=Labels(kind="labels"),
        masker="mean",
        outputs=Outputs(top=1),
    )
    explanation = running.client.explain(SAMPLE, settings, label_map=labels)
    assert explanation.label_map
    assert (explanation.players, explanation.label_map.regions) == (4, 4)
    arrays = running.client.attributions(explanation.id)
    quarters = np.kron([[0, 1], [2, 3]], np.ones((16, 16)))
    np.testing.assert_array_equal(arrays.players, quarters)
    for player in range(4):
        assert np.unique(arrays.values[arrays.players == player]).size == 1


def test_too_many_superpixels_for_the_method_are_refused_with_the_maximum(
    running: Running,
) -> None:
    settings = ExplanationSettings(method="exact", superpixels=Slic(kind="slic", segments=40))
    with pytest.raises(ShapshotError, match="16") as refused:
        running.client.explain(SAMPLE, settings)
    assert refused.value.problem.code == ErrorCode.INVALID_SETTINGS
    assert refused.value.problem.status == 422
    accepted = refused.value.problem.accepted
    assert isinstance(accepted, dict)
    assert accepted["players"] == {"maximum": 16}


def test_metrics_follow_the_score_from_one_end_to_the_other(running: Running) -> None:
    settings = ExplanationSettings(
        model="fashion_mnist",
        masker="mean",
        max_evals=200,
        superpixels=Pixels(kind="pixels", channels="together"),
        outputs=Outputs(top=2),
        metrics=["insertion", "deletion", "keep_positive"],
    )
    explanation = running.client.explain(SAMPLE, settings)
    assert explanation.outputs
    found = running.client.faithfulness(explanation.id).curves
    curves = {(curve.metric, curve.output): curve for curve in found}
    assert len(curves) == 6
    for output in explanation.outputs:
        insertion, deletion = (curves[name, output.index] for name in ("insertion", "deletion"))
        ends = [output.base_value, output.score]
        assert [insertion.y[0], insertion.y[-1]] == pytest.approx(ends, abs=1e-5)
        assert [deletion.y[-1], deletion.y[0]] == pytest.approx(ends, abs=1e-5)
        assert curves["keep_positive", output.index].y[0] == pytest.approx(ends[0], abs=1e-5)
    told = {(area.metric, area.output): area.area for area in explanation.metrics or []}
    assert told == {key: curve.area for key, curve in curves.items()}
    first = explanation.outputs[0].index  # shown first, it scores higher than in random order
    assert curves["insertion", first].area > curves["insertion", first].baseline_area
    with Image.open(io.BytesIO(running.client.faithfulness_chart(explanation.id))) as chart:
        assert min(chart.size) > 100


def test_owen_values_of_the_gaussian_process_are_those_of_partition(running: Running) -> None:
    """They are equal if every coalition of the tree is scored."""
    settings = JOBS["gaussian_process"].model_copy(
        update={"solution_concept": "owen", "max_evals": 2000, "masker": "mean"}
    )
    found = running.client.explain(SAMPLE, settings)
    whole = running.client.explain(
        SAMPLE, settings.model_copy(update={"method": "partition", "solution_concept": None})
    )
    assert found.solution_concept == whole.solution_concept
    assert found.progress.evaluations == whole.progress.evaluations < 2000
    values = [running.client.attributions(each.id).values for each in (found, whole)]
    largest = np.abs(values[1]).max()
    assert np.abs(values[0] - values[1]).max() < 1e-5 * largest


def test_a_target_ends_the_gaussian_process_early(running: Running) -> None:
    settings = JOBS["gaussian_process"].model_copy(update={"max_evals": 2000})
    loose = settings.model_copy(update={"target_standard_error": 0.5})
    spent = running.client.explain(SAMPLE, loose).progress.evaluations
    assert spent < 500


def test_a_canceled_permutation_keeps_its_partial_result(running: Running) -> None:
    settings = ExplanationSettings(method="permutation", max_evals=100_000)
    explanation = running.client.submit(SAMPLE, settings)
    running.wait_for_evaluations(explanation.id, 300)
    running.client.cancel(explanation.id)
    with pytest.raises(ExplanationCanceledError) as canceled:
        running.client.wait(explanation.id)
    ended = canceled.value.explanation
    assert ended.partial
    assert ended.outputs
    values = running.client.attributions(explanation.id).values
    first = ended.outputs[0]
    assert values[..., 0].sum() == pytest.approx(first.score - first.base_value, abs=1e-4)


def test_explanations_of_two_models_share_a_figure(running: Running) -> None:
    ids = []
    for model in ("cifar10", "fashion_mnist"):
        settings = ExplanationSettings(model=model, masker="mean", max_evals=30)
        ids.append(running.client.explain(SAMPLE, settings).id)
    png = running.client.figure(ids, true_label=["cat", "no garment"])
    with Image.open(io.BytesIO(png)) as figure:
        assert min(figure.size) > 200


def test_a_very_wide_photo_is_explained_whole_if_padded(running: Running) -> None:
    """Three cats in a row: the crop shows the one in the middle, the padded photo all three."""
    one = cat().resize((200, 150))
    wide = Image.new("RGB", (600, 150))
    for left in (0, 200, 400):
        wide.paste(one, (left, 0))
    content = encoded(wide)
    settings = ExplanationSettings(
        method="permutation", superpixels=Grid(kind="grid", rows=1, columns=6), max_evals=130
    )
    cropped = running.client.explain(content, settings.model_copy(update={"fit": "crop"}))
    assert cropped.crop
    assert cropped.crop.right - cropped.crop.left == 150
    padded = running.client.explain(content, settings.model_copy(update={"fit": "pad"}))
    assert padded.crop
    assert padded.placement
    assert padded.settings.fit == "pad"
    assert (padded.crop.left, padded.crop.right, padded.crop.bottom) == (0, 600, 150)
    arrays = running.client.attributions(padded.id)
    H, W = arrays.data.shape[:2]
    place = padded.placement
    assert (place.left, place.right, place.bottom - place.top) == (0, W, round(W / 4))
    inside = np.zeros((H, W), bool)
    inside[place.top : place.bottom] = True
    assert not arrays.values[~inside].any()
    assert (arrays.players[~inside] == -1).all()
    mean = arrays.data[inside].mean(axis=0)  # the fill of the empty coalition
    np.testing.assert_allclose(
        arrays.data[~inside], np.broadcast_to(mean, (H * W - inside.sum(), 3)), atol=1
    )
    assert padded.outputs
    total = arrays.values[..., 0].sum(dtype=np.float64)
    assert total == pytest.approx(padded.outputs[0].score - padded.outputs[0].base_value, abs=1e-4)
    overlay = Image.open(io.BytesIO(running.client.heatmap(padded.id, "overlay")))
    assert overlay.size == wide.size
    again = running.client.submit(content, settings.model_copy(update={"fit": "stretch"}))
    assert again.model.fingerprint not in (cropped.model.fingerprint, padded.model.fingerprint)


@pytest.mark.parametrize("method", JOBS)
def test_coalitions_are_scored_as_the_explanation_scored_them(running: Running, method) -> None:
    settings = JOBS[method].model_copy(update={"outputs": Outputs(top=2), "link": "logit"})
    explanation = running.client.explain(SAMPLE, settings)
    everything, nothing = Coalition(hidden=[]), Coalition(shown=[])
    found = running.client.scores(explanation.id, [everything, nothing, Coalition(shown=[0])])
    assert explanation.outputs
    assert found.outputs
    assert found.scores
    for k, output in enumerate(explanation.outputs):
        assert (found.outputs[k].index, found.outputs[k].label) == (output.index, output.label)
        assert found.scores[0][k] == pytest.approx(output.score, abs=1e-4)
        assert found.scores[1][k] == pytest.approx(output.base_value, abs=1e-4)
    png = running.client.masked_picture(explanation.id, everything)
    shown = running.client.attributions(explanation.id).data
    with Image.open(io.BytesIO(png)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), shown.round())
