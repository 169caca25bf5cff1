"""Both clients against the running API: one test serves the blocking and the async."""

import asyncio
import base64
import inspect
import io
import json
import re
from ipaddress import ip_network
from pathlib import Path
from typing import get_args, get_type_hints

import httpx
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from service.client import (
    AsyncClient,
    Client,
    ExplanationCanceledError,
    ExplanationFailedError,
    IncompleteBatchError,
    ShapshotError,
)
from service.client.calls import DrawingOptions
from service.jobs.redis_keys import webhook_key_of
from service.render import PALETTES
from service.schemas.documents import ErrorCode, Failure, Problem, Status
from service.schemas.requests import ExplanationSettings, Labels, Outputs
from service.schemas.scores import Coalition, CoalitionScores, MaskedPicture
from tests.api.conftest import some_arrays, some_curves, some_interactions, some_regions
from tests.client.conftest import serving
from tests.encoded import encoded, noise
from tests.tiny import MODEL

LABELS = np.arange(8 * 12).reshape(8, 12) // 24


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        return image.size


def test_both_clients_can_do_the_same():
    blocking, awaited = (
        {name: method for name, method in vars(kind).items() if not name.startswith("_")}
        for kind in (Client, AsyncClient)
    )
    assert set(blocking) - {"close"} == set(awaited) - {"aclose"}
    for name in set(blocking) & set(awaited):
        one, other = (inspect.signature(of[name]) for of in (blocking, awaited))
        assert one.parameters == other.parameters, name


def test_the_client_knows_the_palettes_that_there_are():
    assert get_args(get_type_hints(DrawingOptions)["palette"]) == tuple(PALETTES)


def test_arrays_come_with_what_the_method_knows_beside_them(ask, fake_worker, photo):
    plain, rich = (ask("submit", photo).id for _ in range(2))
    beside = {
        "standard_errors": np.full((8, 12, 3, 2), 0.5, np.float32),
        "players": np.arange(96, dtype=np.int32).reshape(8, 12),
    }
    fake_worker.succeed(plain)
    fake_worker.succeed(rich, arrays=some_arrays() | beside)
    found = ask("attributions", rich)
    np.testing.assert_array_equal(found.values, some_arrays()["values"])
    np.testing.assert_array_equal(found.data, some_arrays()["data"])
    assert (found.output_names, found.output_indices) == (["ant", "crane"], [0, 2])
    np.testing.assert_array_equal(found.standard_errors, beside["standard_errors"])
    np.testing.assert_array_equal(found.players, beside["players"])
    assert ask("attributions", plain).standard_errors is None
    assert ask("attributions", plain).players is None


def test_what_was_found_before_answers_unless_it_is_to_be_computed_anew(ask, fake_worker, photo):
    first = ask("submit", photo)
    fake_worker.succeed(first.id)
    assert ask("submit", photo).cached_from == first.id
    assert ask("submit", photo, anew=True).cached_from is None


@pytest.mark.parametrize("given_as", ["array", "bytes", "path"])
def test_a_label_map_goes_with_the_picture(ask, photo, tmp_path, given_as):
    path = tmp_path / "regions.png"
    Image.fromarray(LABELS.astype(np.uint8)).save(path)
    label_map = {"array": LABELS, "bytes": path.read_bytes(), "path": path}[given_as]
    settings = ExplanationSettings(method="exact", superpixels=Labels(kind="labels"))
    explanation = ask("submit", photo, settings, label_map=label_map)
    assert explanation.label_map.regions == 4
    assert explanation.settings.superpixels == Labels(kind="labels")


def test_only_settings_that_were_changed_are_sent_and_come_back_resolved(ask, photo):
    settings = ExplanationSettings(
        masker="mean", outputs=Outputs(labels=["bee"]), metadata={"a": 1}
    )
    answered = ask("submit", photo, settings).settings
    assert (answered.masker, answered.metadata) == ("mean", {"a": 1})
    assert answered.outputs == Outputs(indices=[1])
    assert answered.max_evals == 500


def test_curves_and_their_chart_of_all_outputs_or_some(ask, fake_worker, photo):
    explanation = ask("submit", photo, ExplanationSettings(metrics=["insertion", "deletion"]))
    curves = some_curves("insertion", "deletion")
    fake_worker.succeed(explanation.id, curves=curves)
    assert ask("faithfulness", explanation.id).curves == curves
    some = ask("faithfulness", explanation.id, ["crane"])
    assert [curve.output for curve in some.curves] == [2, 2]
    whole, part = (ask("faithfulness_chart", explanation.id, which) for which in ([], [0]))
    assert size_of(whole)[0] == size_of(part)[0]
    assert size_of(whole)[1] > size_of(part)[1]  # a line less in the legend


def test_scores_and_masked_pictures_of_coalitions(ask, fake_worker, photo):
    explanation = ask("submit", photo)
    fake_worker.succeed(explanation.id, arrays=some_arrays() | some_regions())
    png = encoded(noise(12, 8), "PNG")
    answers = {
        "scores": CoalitionScores(outputs=[], scores=[[], []]),
        "masked_picture": MaskedPicture(png=base64.b64encode(png)),
    }
    coalitions = [Coalition(hidden=[3, 5]), {"shown": []}]

    def answered(name, asked, *more):
        request = asyncio.to_thread(ask, name, explanation.id, asked, *more)
        return asyncio.run(fake_worker.answering(request, answers[name]))

    scores = answered("scores", coalitions, Outputs(labels=["bee"]))
    assert (scores.explanation, scores.done, scores.scores) == (explanation.id, True, [[], []])
    spec = fake_worker.read(scores.id).spec.coalitions
    assert spec.coalitions == (Coalition(hidden=[3, 5]), Coalition(shown=[]))
    assert spec.outputs == (1,)
    for coalition in coalitions:
        assert answered("masked_picture", coalition) == png


def test_regions_of_all_outputs_or_some(ask, fake_worker, photo):
    explanation = ask("submit", photo)
    fake_worker.succeed(explanation.id, arrays=some_arrays() | some_regions())
    regions = ask("regions", explanation.id).regions
    assert [len(region.credit) for region in regions] == [2] * 6
    [region, *_] = ask("regions", explanation.id, ["crane"]).regions
    assert [credit.value for credit in region.credit] == [some_regions()["region_values"][0, 1]]
    found = ask("attributions", explanation.id)
    assert found.region_values.tolist() == some_regions()["region_values"].tolist()


def test_a_document_leads_to_its_regions(url, fake_worker, new_card, photo):
    fake_worker.announce(new_card())
    with Client(url) as client:
        explanation = client.submit(photo)
        fake_worker.succeed(explanation.id, arrays=some_arrays() | some_regions())
        assert explanation.regions() == client.regions(explanation.id)
        assert client.get(explanation.id).regions([2]) == client.regions(explanation.id, [2])

    async def ask_for_them() -> None:
        async with AsyncClient(url) as client:
            document = await client.wait(explanation.id)
            assert await document.regions(["ant"]) == await client.regions(explanation.id, ["ant"])

    asyncio.run(ask_for_them())


def test_heatmaps_take_their_options(ask, fake_worker, photo):
    explanation = ask("submit", photo)
    fake_worker.succeed(explanation.id)
    plain = ask("heatmap", explanation.id)
    labelled = ask("heatmap", explanation.id, true_label="ant", palette="orange_blue")
    assert "is truly ant" in PngImageFile(io.BytesIO(labelled)).text["Description"]
    assert "in orange" in PngImageFile(io.BytesIO(labelled)).text["Description"]
    assert labelled != plain
    heat = ask("heatmap", explanation.id, "heat", output=["crane"], size=120, percentile=90)
    assert size_of(heat) == (120, 80)
    assert "crane" in PngImageFile(io.BytesIO(heat)).text["Title"]


@pytest.mark.parametrize(("format", "head"), [("svg", b"<svg "), ("pdf", b"%PDF")])
def test_drawings_are_also_svg_and_pdf(ask, fake_worker, photo, format, head):
    batch = ask("submit_batch", [photo], ExplanationSettings(metrics=["insertion"]))
    [explanation] = batch.explanations
    fake_worker.succeed(explanation.id, curves=some_curves("insertion"))
    drawings = [
        ask("heatmap", explanation.id, "overlay", format=format),
        ask("figure", [explanation.id] * 2, format=format),
        ask("batch_heatmap", batch.id, format=format),
        ask("faithfulness_chart", explanation.id, format=format),
    ]
    assert [drawing[: len(head)] for drawing in drawings] == [head] * 4
    with pytest.raises(ValueError, match="one of png, svg, pdf; received 'gif'"):
        ask("heatmap", explanation.id, format="gif")


def test_interactions_are_listed_drawn_and_in_the_arrays(ask, fake_worker, photo):
    grid = {"kind": "grid", "rows": 2, "columns": 3}
    asked = {"method": "gaussian_process", "superpixels": grid, "interactions": 2}
    explanation, stored = ask("submit", photo, asked), some_interactions()
    fake_worker.succeed(explanation.id, arrays=some_arrays() | some_regions() | stored)
    found = ask("regions", explanation.id, output=["crane"], pairs=3).interactions
    assert [(each.label, each.rank) for each in found] == [("crane", n) for n in (1, 2, 3)]
    drawn = [ask("heatmap", explanation.id, "interactions", pairs=pairs) for pairs in (1, 15)]
    assert drawn[0] != drawn[1]
    arrays = ask("attributions", explanation.id)
    assert (arrays.interaction_values == stored["interaction_values"]).all()


def test_what_was_sent_is_given_back(ask, photo):
    explanation = ask("submit", photo, {"superpixels": {"kind": "labels"}}, label_map=LABELS)
    assert ask("picture", explanation.id) == photo
    given_back = np.load(io.BytesIO(ask("label_map", explanation.id)))
    np.testing.assert_array_equal(given_back, LABELS)
    assert size_of(ask("thumbnail", explanation.id, size=30)) == (30, 20)


def test_documents_and_numbers_are_taken_as_users_have_them(ask, fake_worker, photo):
    settings = {"max_evals": np.int64(200), "outputs": {"indices": np.array([0, 2])}}
    batch = ask("submit_batch", [photo], settings)
    [explanation] = batch.explanations
    answered = ask("get", explanation.id).settings
    assert (answered.max_evals, answered.outputs) == (200, Outputs(indices=[0, 2]))
    fake_worker.succeed(explanation.id)
    assert ask("batch_attributions", batch).ids == [explanation.id]
    with pytest.raises(TypeError, match=r"an id is a str, as is the .id of a document"):
        ask("heatmap", explanation)
    for wrong in ("kernel", {"metadata": {"folder": Path()}}):
        with pytest.raises(TypeError, match=r"settings are .*str|settings are .*Path"):
            ask("submit", photo, wrong)


def test_a_key_that_no_header_takes_is_refused_without_telling_it(url):
    assert Client(url, api_key="shapshot_abc\n")._http.headers["authorization"][-3:] == "abc"
    with pytest.raises(ValueError, match="api_key: printable ASCII") as refused:
        Client(url, api_key="geheim ü")
    assert "geheim" not in str(refused.value)


def test_the_refused_picture_of_a_batch_is_named(ask, photo):
    for name in ("submit_batch", "submit_all"):
        with pytest.raises(ShapshotError, match="not a picture") as refused:
            ask(name, [photo, photo, b"text"])
        assert refused.value.__notes__ == ["the picture at position 2, picture"]


def test_another_server_is_told_from_shapshot(url):
    moved = {"request": [lambda request: setattr(request, "url", httpx.URL(f"{url}/docs"))]}
    with Client(url, event_hooks=moved) as client, pytest.raises(httpx.DecodingError) as found:
        client.models()
    assert "/docs answered with text/html" in str(found.value)


def test_the_first_repetition_is_logged(caplog):
    with pytest.raises(httpx.ConnectError) as silent:
        Client("http://127.0.0.1:1", retry_s=0.6).models()
    assert silent.value.__notes__ == ["no answer from http://127.0.0.1:1/v1/models"]
    [line] = [each.getMessage() for each in caplog.records if each.name == "shapshot"]
    assert line.startswith("http://127.0.0.1:1/v1/models: [Errno 111] Connection refused; trying")


def test_a_link_shows_a_result_until_it_expires(ask, fake_worker, photo):
    explanation = ask("submit", photo)
    fake_worker.succeed(explanation.id)
    link = ask("link", explanation.id, "heatmap.png?style=overlay", lifetime_s=60)
    assert httpx.get(link.url).content == ask("heatmap", explanation.id, "overlay")
    of_all = ask("link", explanation.id)
    assert (of_all.url, of_all.expires_at > link.expires_at) == (None, True)


def test_some_outputs_alone_are_fetched(ask, fake_worker, photo):
    explanation = ask("submit", photo)
    fake_worker.succeed(explanation.id)
    found = ask("attributions", explanation.id, ["crane"])
    assert found.output_names == ["crane"]
    np.testing.assert_array_equal(found.values, some_arrays()["values"][..., 1:])


def test_a_figure_of_several_explanations(ask, fake_worker, photo):
    ids = [ask("submit", photo).id for _ in range(2)]
    for each in ids:
        fake_worker.succeed(each)
    png = ask("figure", ids, true_label=["ant", "bee"], width=700)
    assert size_of(png)[0] == 700
    assert "Picture 2 is truly bee." in PngImageFile(io.BytesIO(png)).text["Description"]


def test_a_failed_explanation_raises_its_problem(ask, fake_worker, photo):
    explanation = ask("submit", photo)
    fake_worker.fail(explanation.id, Failure(code=ErrorCode.INTERNAL, detail="it broke"))
    with pytest.raises(ExplanationFailedError, match="it broke"):
        ask("wait", explanation.id)


def test_a_refusal_raises_the_problem(ask, photo):
    with pytest.raises(ShapshotError) as refused:
        ask("submit", photo, ExplanationSettings(model="absent"))
    assert refused.value.problem.code == ErrorCode.UNKNOWN_MODEL
    with pytest.raises(ShapshotError, match="no such explanation"):
        ask("get", "exp_" + "0" * 32)


def test_a_refusal_tells_in_short_what_is_accepted(ask, fake_worker, photo):
    explanation = ask("submit", photo)
    fake_worker.succeed(explanation.id)
    with pytest.raises(
        ShapshotError, match=r"output 'dogg' was not explained; accepted: ant, crane$"
    ):
        ask("heatmap", explanation.id, output=["dogg"])
    with pytest.raises(ShapshotError, match=r"known models: tiny$"):  # which are those accepted
        ask("submit", photo, ExplanationSettings(model="absent"))
    long = Problem.model_validate(
        {"type": "t", "title": "Long", "status": 422, "code": "c", "detail": "too many values"}
        | {"field": None, "received": None, "accepted": [str(n) for n in range(1000)]}
    )
    assert str(ShapshotError(long)) == "Long: too many values"


def test_lists_models_and_deletion(ask, fake_worker, photo):
    ids = [ask("submit", photo).id for _ in range(3)]
    assert [each.id for each in ask("list", limit=2).items] == ids[:0:-1]
    assert ask("models").items[0].name == "tiny"
    assert ask("model", "tiny").labels[1] == "bee"
    fake_worker.succeed(ids[0])
    ask("delete", ids[0])
    assert len(ask("list", status="queued").items) == 2
    assert ask("cancel", ids[1]).status in ("canceled", "canceling")


def test_a_batch_from_upload_to_arrays_and_figure(ask, fake_worker, new_photo):
    settings = ExplanationSettings(outputs=Outputs(top=2))
    batch = ask("submit_batch", [new_photo(60, 40), new_photo(61, 40)], settings)
    first, second = (each.id for each in batch.explanations)
    fake_worker.succeed(first)
    assert ask("get_batch", batch.id).counts["queued"] == 1
    assert ask("cancel_batch", batch.id).done
    assert ask("wait_batch", batch.id).explanations[1].status == "canceled"
    arrays = ask("batch_attributions", batch.id)
    assert arrays.values.shape == (1, 8, 12, 3, 2)
    assert (arrays.ids, arrays.positions) == ([first], [0])
    assert arrays.output_names == [["ant", "crane"]]
    assert (arrays.standard_errors, arrays.players) == (None, None)
    assert arrays.models == [MODEL]
    assert size_of(ask("batch_heatmap", batch.id, width=400))[0] == 400
    ask("delete_batch", batch.id)
    with pytest.raises(ShapshotError) as refused:
        ask("get", second)
    assert refused.value.problem.code == ErrorCode.NOT_FOUND


def test_a_batch_that_does_not_end_in_time_is_a_timeout(url, fake_worker, new_card, photo):
    fake_worker.announce(new_card())
    with Client(url) as client:
        batch = client.submit_batch([photo])
        with pytest.raises(TimeoutError, match="queued"):
            client.wait_batch(batch.id, timeout_s=0.1)


def test_a_canceled_explanation_is_an_error_that_has_the_partial_result(ask, fake_worker, photo):
    explanation = ask("submit", photo)
    fake_worker.end(explanation.id, fake_worker.begin(explanation.id), Status.CANCELED)
    with pytest.raises(ExplanationCanceledError, match="canceled and has a partial") as canceled:
        ask("wait", explanation.id)
    assert canceled.value.explanation.partial
    assert ask("attributions", explanation.id).values.shape == (8, 12, 3, 2)


def test_progress_is_told_while_a_wait_lasts_and_a_wait_can_be_taken_up_again(
    ask, fake_worker, photo
):
    explanation = ask("submit", photo)
    with pytest.raises(TimeoutError, match="queued"):
        ask("wait", explanation.id, timeout_s=0.1)
    seen = []

    def on_progress(document) -> None:
        seen.append(document.status)
        if len(seen) == 1:
            fake_worker.succeed(explanation.id)

    assert ask("wait", explanation.id, on_progress=on_progress).status == "succeeded"
    assert seen == ["queued", "succeeded"]


def test_settings_may_be_a_dict_which_the_server_checks(ask, photo):
    answered = ask("submit", photo, {"masker": "mean", "outputs": {"top": 1}}).settings
    assert (answered.masker, answered.outputs.top) == ("mean", 1)
    with pytest.raises(ShapshotError, match="methods") as refused:
        ask("submit", photo, {"methods": "kernel"})
    assert refused.value.problem.code == ErrorCode.INVALID_SETTINGS


def test_a_batch_of_any_size_is_split_and_merged_in_order(ask, fake_worker, new_photo):
    photos = [new_photo(60 + n, 40) for n in range(34)]
    group = ask("submit_all", iter(photos))
    assert [batch.size for batch in group.batches] == [32, 2]
    assert [each.position for each in group.explanations] == list(range(34))
    for each in group.explanations[:-1]:
        fake_worker.succeed(each.id, arrays=some_arrays() | some_regions())
    ask("cancel", group.explanations[33].id)
    seen = []
    group = ask("wait_all", group, on_progress=seen.append)
    assert group.done
    assert [each.position for each in group.incomplete] == [33]
    assert seen[-1].counts == {"succeeded": 33, "canceled": 1}
    arrays = ask("batch_attributions", group)
    assert arrays.positions == list(range(33))
    assert arrays.ids == [each.id for each in group.explanations[:-1]]
    assert arrays.region_values.shape == (33, 6, 2)
    assert [row.output_names for row in arrays.rows()] == [["ant", "crane"]] * 33
    widths = [ask("get", arrays.ids[n]).image.width for n in (0, 32)]
    assert widths == [60, 92]


def test_pictures_that_are_too_large_together_are_sent_in_halves(
    asking, settings, fake_worker, new_card, new_photo
):
    fake_worker.announce(new_card())
    photos = [new_photo(60 + n, 40) for n in range(5)]
    small = settings.model_copy(update={"max_upload_bytes": 3 * len(photos[0])})
    with serving(small) as url:
        group = asking(url, "submit_all", photos)
        assert [batch.size for batch in group.batches] == [2, 1, 2]
        assert [each.position for each in group.explanations] == list(range(5))
        with pytest.raises(ShapshotError) as refused:
            asking(url, "submit_all", [photos[0], new_photo(200, 200)])
    assert refused.value.problem.status == 413
    [note] = refused.value.__notes__
    assert re.fullmatch("the pictures before position 1 are explained in batch_[0-9a-f]{32}", note)


def test_another_run_with_the_same_key_sends_what_is_missing(ask, new_photo):
    photos = [new_photo(60 + n, 40) for n in range(35)]

    def interrupted():
        yield from photos[:33]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask("submit_all", interrupted(), anew=True, idempotency_key="study")
    first = ask("list_batches").items
    assert [batch.size for batch in first] == [32]
    groups = [ask("submit_all", photos, anew=True, idempotency_key="study") for _ in range(2)]
    assert groups[0].ids[0] == first[0].id
    assert groups[0].ids == groups[1].ids
    assert ask("list").total == 35
    with pytest.raises(ShapshotError, match="used before with other files"):
        ask("submit_all", photos[1:], idempotency_key="study")


def test_a_single_picture_is_not_taken_for_several(ask, photo):
    path, image = "photos/cat.jpg", Image.open(io.BytesIO(photo))
    for single in (path, photo, io.BytesIO(photo), image, np.zeros((8, 12, 3), np.uint8)):
        for name in ("submit_all", "submit_batch"):
            with pytest.raises(TypeError, match=r"several pictures are a list.*received"):
                ask(name, single)


def test_explaining_many_pictures_raises_unless_all_have_a_result(ask, fake_worker, new_photo):
    photos = [new_photo(60 + n, 40) for n in range(3)]

    def finish(group) -> None:
        if not group.done:
            first, second, third = (each.id for each in group.explanations)
            fake_worker.succeed(first)
            fake_worker.fail(second, Failure(code=ErrorCode.INTERNAL, detail="it broke"))
            fake_worker.succeed(third)

    with pytest.raises(IncompleteBatchError, match=r"1 of 3 .*position 1.*it broke") as missing:
        ask("explain_all", photos, on_progress=finish)
    assert missing.value.group.counts == {"succeeded": 2, "failed": 1}


def test_lists_go_on_over_all_pages_and_tell_the_total(ask, fake_worker, photo):
    ids = [ask("submit", photo, {"metadata": {"n": n % 2}}).id for n in range(5)]
    batch = ask("submit_batch", [photo])

    oldest = ask("iterate", limit=2, order="oldest")
    assert [each.id for each in oldest][:5] == ids
    odd = ask("pages", limit=1, metadata=["n=1"])
    assert [page.total for page in odd] == [2, 2]
    assert [page.items[0].id for page in odd] == [ids[3], ids[1]]
    first = ask("get", ids[2])
    later = ask("list", created_after=first.created_at)
    assert later.total == 4
    assert [each.id for each in ask("list_batches").items] == [batch.id]
    assert "kernel" in [method.name for method in ask("methods").items]


def test_events_are_documents_until_it_is_done(ask, fake_worker, photo):
    explanation = ask("submit", photo)
    fake_worker.succeed(explanation.id)
    [last] = ask("events", explanation.id)
    assert (last.id, last.status) == (explanation.id, "succeeded")
    with pytest.raises(ShapshotError, match="no such explanation"):
        ask("events", "exp_" + "0" * 32)


class LosesAnswers(httpx.HTTPTransport):
    """Loses the first answer to each method, after the server gave it."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.method in self.lost:
            return response
        self.lost.add(request.method)
        response.read()
        raise httpx.ReadError("the connection was lost")


def test_a_lost_answer_is_asked_for_again_and_nothing_is_done_twice(
    url, fake_worker, new_card, photo
):
    fake_worker.announce(new_card())
    with Client(url, transport=LosesAnswers()) as client:
        explanation = client.submit(photo)
        fake_worker.succeed(explanation.id)
        assert [each.id for each in client.list().items] == [explanation.id]
        client.delete(explanation.id)
    with Client(url, transport=LosesAnswers(), retry_s=0) as client, pytest.raises(httpx.ReadError):
        client.submit(photo)


def test_a_webhook_whose_answer_was_lost_is_added_rotated_and_tested_once(settings, connection):
    allowed = {"outbound_allow": (ip_network("127.0.0.0/8"),)}
    with serving(settings.model_copy(update=allowed)) as url:
        with Client(url, transport=LosesAnswers()) as client:
            made = client.add_webhook("http://127.0.0.1:1/", ["batch.finished"])
            assert [each.id for each in client.webhooks().items] == [made.id]
        with Client(url, transport=LosesAnswers()) as client:
            rotated = client.rotate_webhook(made.id)
        assert len(json.loads(connection.hget(webhook_key_of(made.id), "config"))["secrets"]) == 2
        with Client(url, transport=LosesAnswers()) as client:
            tested = client.test_webhook(made.id)
            assert [each.id for each in client.deliveries(made.id).items] == [tested.id]
    assert len({made.secret, rotated.secret, None}) == 3


def test_the_same_idempotency_key_is_the_same_explanation(ask, photo):
    ids = {ask("submit", photo, anew=True, idempotency_key="mine").id for _ in range(2)}
    assert len(ids) == 1
    assert ask("submit", photo, anew=True).id not in ids
