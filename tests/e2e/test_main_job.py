"""A picture in, a heatmap out: over HTTP, through Redis, by a real worker with real models."""

import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from service.client import ShapshotError
from service.client.errors import ExplanationCanceledError
from service.schemas.documents import ErrorCode, Status
from service.schemas.requests import ExplanationSettings, Outputs
from tests.e2e.conftest import Running
from tests.e2e.pictures import KINDS, SAMPLE, cat

QUICK = ExplanationSettings(max_evals=60, masker="blur(8,8)")


def test_another_default_model_than_imagenet_explains_the_cat_first(running: Running) -> None:
    assert "cat.jpg" in running.said
    assert "500 evaluations of cifar10" in running.said
    with Image.open(running.folder / "heatmap.png") as heatmap:
        assert heatmap.width > heatmap.height > 100


def test_the_cat_is_recognized_and_every_output_adds_up(running: Running) -> None:
    explanation = running.client.explain(SAMPLE)
    assert explanation.outputs
    assert explanation.outputs[0].label == "cat"
    arrays = running.client.attributions(explanation.id)
    for position, output in enumerate(explanation.outputs):
        total = arrays.values[..., position].sum(dtype=np.float64)
        assert total == pytest.approx(output.score - output.base_value, abs=1e-4)
        assert output.efficiency_gap == pytest.approx(0, abs=1e-4)
    assert arrays.values.shape == (32, 32, 3, 4)
    assert arrays.output_names == [output.label for output in explanation.outputs]


@pytest.mark.parametrize("kind", KINDS)
def test_any_photo_works(running: Running, kind: str) -> None:
    for model in ("cifar10", "fashion_mnist"):
        settings = QUICK.model_copy(update={"model": model})
        explanation = running.client.explain(KINDS[kind](), settings)
        assert explanation.status is Status.SUCCEEDED


def test_a_photo_turned_by_its_exif_tag_gives_the_upright_heatmap(running: Running) -> None:
    upright = running.client.explain(KINDS["JPEG"](), QUICK)
    turned = running.client.explain(KINDS["EXIF-rotated JPEG"](), QUICK)
    assert (upright.image.width, upright.image.height) == cat().size
    assert (turned.image.width, turned.image.height) == cat().size
    one, other = (running.client.attributions(each.id).data for each in (upright, turned))
    assert np.abs(one - other).mean() < 3  # JPEG was encoded twice


def test_the_same_request_gives_the_same_numbers(running: Running) -> None:
    first, second = (running.client.explain(SAMPLE, QUICK) for _ in range(2))
    one, other = (running.client.attributions(each.id).values for each in (first, second))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("style", "params", "size"),
    [
        ("overlay", {}, cat().size),
        ("overlay", {"size": "model"}, (32, 32)),
        ("heat", {}, (32, 32)),
        ("heat", {"output": "cat"}, (32, 32)),
    ],
)
def test_a_heatmap_has_the_requested_size(
    running: Running, style: str, params: dict[str, str], size: tuple[int, int]
) -> None:
    explanation = running.client.explain(SAMPLE, QUICK)
    png = running.client.heatmap(explanation.id, style, **params)
    with Image.open(io.BytesIO(png)) as heatmap:
        assert heatmap.size == size


def test_a_canceled_explanation_keeps_its_partial_result(running: Running) -> None:
    long = ExplanationSettings(max_evals=100_000)
    explanation = running.client.submit(SAMPLE, long)
    running.wait_for_evaluations(explanation.id, 100)
    running.client.cancel(explanation.id)
    with pytest.raises(ExplanationCanceledError) as canceled:
        running.client.wait(explanation.id)
    ended = canceled.value.explanation
    assert ended.status is Status.CANCELED
    assert ended.partial
    assert ended.progress.evaluations < ended.progress.planned
    assert ended.outputs
    values = running.client.attributions(explanation.id).values
    first = ended.outputs[0]
    assert values[..., 0].sum() == pytest.approx(first.score - first.base_value, abs=1e-4)


def test_events_follow_an_explanation_to_its_end(running: Running) -> None:
    explanation = running.client.submit(SAMPLE, ExplanationSettings(max_evals=2000))
    documents = []
    url = f"{running.url}/v1/explanations/{explanation.id}/events"
    with httpx.stream("GET", url, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                documents.append(json.loads(line.removeprefix("data:")))
    counts = [document["progress"]["evaluations"] for document in documents]
    assert documents[-1]["status"] == "succeeded"
    assert counts == sorted(counts)
    assert len(set(counts)) > 2


def test_outputs_by_index_and_by_label_are_the_same(running: Running) -> None:
    by_index = QUICK.model_copy(update={"outputs": Outputs(indices=[3, 5])})
    by_label = QUICK.model_copy(update={"outputs": Outputs(labels=["cat", "dog"])})
    first, second = (running.client.explain(SAMPLE, each) for each in (by_index, by_label))
    assert first.outputs == second.outputs


def test_a_deleted_explanation_is_gone_with_its_artifacts(running: Running) -> None:
    explanation = running.client.explain(SAMPLE, QUICK)
    kept = running.folder / "store" / "explanations" / explanation.id
    assert kept.exists()
    running.client.delete(explanation.id)
    assert not kept.exists()
    with pytest.raises(ShapshotError) as refused:
        running.client.get(explanation.id)
    assert refused.value.problem.code == ErrorCode.NOT_FOUND


def test_model_cards_state_what_a_client_must_know(running: Running) -> None:
    cards = {card.name: card for card in running.client.models().items}
    assert cards["cifar10"].default
    assert cards["cifar10"].input_shape == (32, 32, 3)
    assert cards["fashion_mnist"].input_shape == (28, 28, 1)
    for card in cards.values():
        assert card.status == "available"
        assert card.fingerprint
        assert card.accuracy
        assert card.limits
    labels = running.client.model("cifar10").labels
    assert labels
    assert "cat" in labels
