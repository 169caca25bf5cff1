"""Several pictures at once, on a real worker: each gets the result it would get alone."""

import io

import numpy as np
from PIL import Image, ImageOps

from service.schemas.documents import BatchStatus, Status
from service.schemas.requests import ExplanationSettings, Outputs
from tests.e2e.conftest import Running
from tests.e2e.pictures import cat
from tests.encoded import encoded

SETTINGS = ExplanationSettings(model="cifar10", outputs=Outputs(top=3), max_evals=200)


def pictures() -> list[bytes]:
    """Different pictures, so that their top classes may differ."""
    photo = cat().resize((64, 64))
    turned, upside_down = photo.transpose(Image.Transpose.ROTATE_90), ImageOps.flip(photo)
    return [encoded(each) for each in (photo, turned, upside_down, ImageOps.invert(photo))]


def test_each_picture_of_a_batch_gets_the_values_it_gets_alone(running: Running) -> None:
    client, photos = running.client, pictures()
    batch = client.wait_batch(client.submit_batch(photos, SETTINGS).id)
    assert batch.status is BatchStatus.DONE
    assert batch.counts[Status.SUCCEEDED] == 4
    together = client.batch_attributions(batch.id)
    assert together.values.shape == (4, 32, 32, 3, 3)
    assert together.base_values.shape == (4, 3)
    assert together.data.shape == (4, 32, 32, 3)
    assert together.positions == [0, 1, 2, 3]
    assert together.ids == [each.id for each in batch.explanations]
    for position, photo in enumerate(photos):
        alone = client.attributions(client.explain(photo, SETTINGS).id)
        assert together.output_indices[position] == alone.output_indices
        assert together.output_names[position] == alone.output_names
        np.testing.assert_array_equal(together.data[position], alone.data)
        for name in ("values", "base_values"):
            found, wanted = getattr(together, name)[position], getattr(alone, name)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_they_run_side_by_side_and_make_one_figure(running: Running) -> None:
    client = running.client
    batch = client.wait_batch(client.submit_batch(pictures(), SETTINGS).id)
    explanations = [client.get(each.id) for each in batch.explanations]
    began = [each.started_at for each in explanations if each.started_at]
    ended = [each.finished_at for each in explanations if each.finished_at]
    assert len(began) == len(ended) == 4
    assert max(began) < min(ended)
    with Image.open(io.BytesIO(client.batch_heatmap(batch.id))) as figure:
        assert figure.height > 300


def test_one_of_a_batch_is_canceled_and_the_others_go_on(running: Running) -> None:
    client = running.client
    long = SETTINGS.model_copy(update={"max_evals": 1500})
    batch = client.submit_batch(pictures(), long)
    last = batch.explanations[3].id
    running.wait_for_evaluations(last, 1)
    client.cancel(last)
    ended = client.wait_batch(batch.id)
    assert [each.status for each in ended.explanations] == [*["succeeded"] * 3, "canceled"]
    assert client.batch_attributions(batch.id).positions == [0, 1, 2]
    client.delete_batch(batch.id)
    assert not (running.folder / "store" / "explanations" / last).exists()
