"""The true class of a picture is checked like an output, echoed, and changes no number."""

import base64
import io
import json

import pytest
from PIL import Image

from service.jobs.redis_keys import key_of
from service.schemas.requests import Outputs

URL = "/v1/explanations"
ANT, BEE = {"index": 0, "label": "ant"}, {"index": 1, "label": "bee"}


def description(answer) -> str:
    return Image.open(io.BytesIO(answer.content)).info["Description"]


@pytest.fixture
def ask_batch(served, new_photo):
    """Requests a batch of three with these settings; returns the response."""

    async def post(**settings):
        files = [("image", (f"{n}.png", new_photo(60 + n, 40))) for n in range(3)]
        files.append(("settings", (None, json.dumps(settings))))
        return await served.post("/v1/batches", files=files)

    return post


@pytest.mark.parametrize("sent", ["ant", 0])
async def test_a_true_label_is_given_as_label_or_index_and_kept(served, ask, sent):
    answer = await ask(true_label=sent)
    assert answer.status_code == 202, answer.text
    document = (await served.get(answer.headers["location"])).json()
    assert document["settings"]["true_label"] == 0
    assert (document["true_label"], document["correct"]) == (ANT, None)


async def test_without_a_true_label_the_fields_are_null(ask, fake_worker, served):
    answer = await ask()
    fake_worker.succeed(answer.json()["id"])
    document = (await served.get(answer.headers["location"])).json()
    assert document["settings"]["true_label"] is None
    assert (document["true_label"], document["correct"]) == (None, None)


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        ("unicorn", "unknown_output", "no output is called 'unicorn'"),
        ("crane", "unknown_output", "several outputs are called 'crane'"),
        (999, "unknown_output", "the model has"),
        (-1, "invalid_settings", "settings.true_label"),
        (True, "invalid_settings", "settings.true_label"),
        ("", "invalid_settings", "settings.true_label"),
        ([0], "invalid_settings", "settings.true_label"),
    ],
)
async def test_a_class_that_the_model_lacks_is_refused(ask, refused, sent, code, said):
    problem = refused(await ask(true_label=sent), 422, code)
    assert said in problem["detail"]
    assert problem["field"] == "settings.true_label"


@pytest.mark.parametrize(
    ("sent", "outputs", "correct"),
    [
        (0, Outputs(top=2), True),
        (2, Outputs(top=2), False),
        (1, Outputs(top=2), False),  # not explained: two others have higher scores
        (0, Outputs(indices=[0, 2]), None),  # an unexplained output may have a higher score
        (2, Outputs(indices=[0, 2]), False),
        (1, Outputs(indices=[0, 2]), None),
    ],
)
async def test_document_and_figure_say_whether_the_top_class_is_it(
    served, ask, fake_worker, sent, outputs, correct
):
    wanted = outputs.model_dump(exclude_none=True)
    answer = await ask(true_label=sent, outputs=wanted)
    found = fake_worker.succeed(answer.json()["id"]).outcome
    assert found.top.index == 0
    document = (await served.get(answer.headers["location"])).json()
    assert document["correct"] is correct
    drawn = (await served.get(f"{document['links']['self']}/heatmap.svg")).text
    verdicts = ["✓ predicted" in drawn, "✗ not predicted" in drawn]
    assert verdicts == [correct is True, correct is False]


async def test_a_true_label_makes_no_other_request(served, ask, fake_worker):
    first = (await ask(true_label=0, outputs={"top": 2})).json()
    fake_worker.succeed(first["id"])
    again = (await ask(true_label=1, outputs={"top": 2})).json()
    assert again["cached_from"] == first["id"]
    assert (again["true_label"], again["correct"]) == (BEE, False)
    assert (await ask(outputs={"top": 2})).json()["true_label"] is None


async def test_a_batch_has_true_labels_by_position(served, ask_batch, fake_worker):
    answer = await ask_batch(true_labels=["ant", None, 1], outputs={"top": 2})
    assert answer.status_code == 202, answer.text
    for member in answer.json()["explanations"]:
        fake_worker.succeed(member["id"])
    batch = (await served.get(answer.headers["location"])).json()
    assert [each["true_label"] for each in batch["explanations"]] == [ANT, None, BEE]
    assert [each["correct"] for each in batch["explanations"]] == [True, None, False]
    assert batch["settings"]["true_label"] is None
    shown = description(await served.get(batch["links"]["heatmap"]))
    assert "bee" in shown
    last = batch["explanations"][2]["links"]
    assert (await served.get(last["self"])).json()["settings"]["true_label"] == 1


async def test_one_for_all_pictures_of_a_batch(ask_batch):
    batch = (await ask_batch(true_label="bee")).json()
    assert [each["true_label"] for each in batch["explanations"]] == [BEE] * 3
    assert batch["settings"]["true_label"] == 1


async def test_a_batch_in_json_has_them_too(served, photo):
    pictures = [base64.b64encode(photo).decode()] * 2
    body = {"images": pictures, "settings": {"true_labels": ["ant", None]}}
    batch = (await served.post("/v1/batches", json=body)).json()
    assert [each["true_label"] for each in batch["explanations"]] == [ANT, None]


@pytest.mark.parametrize(
    ("sent", "code", "field"),
    [
        ({"true_labels": ["ant"]}, "invalid_settings", "settings.true_labels"),
        ({"true_labels": ["ant", "ant", "unicorn"]}, "unknown_output", "settings.true_labels.2"),
        ({"true_labels": [None] * 3, "true_label": 0}, "invalid_settings", "settings"),
        ({"true_labels": "ant"}, "invalid_settings", "settings.true_labels"),
    ],
)
async def test_true_labels_that_do_not_fit_are_refused(ask_batch, refused, sent, code, field):
    assert refused(await ask_batch(**sent), 422, code)["field"] == field


async def test_a_single_explanation_has_no_list(ask, refused):
    refused(await ask(true_labels=["ant"]), 422, "invalid_settings")


async def test_a_figure_shows_it_unless_the_query_names_another(served, ask, fake_worker):
    document = (await ask(true_label="bee")).json()
    fake_worker.succeed(document["id"])
    path = f"{URL}/{document['id']}/heatmap.png"
    assert "bee" in description(await served.get(path))
    named = description(await served.get(path, params={"true_label": "dromedary"}))
    assert "dromedary" in named
    assert "bee" not in named
    assert (await served.get(path, params={"style": "overlay"})).status_code == 200
    other = (await ask(seed=1)).json()["id"]
    fake_worker.succeed(other)
    both = await served.get("/v1/figure.png", params={"id": [document["id"], other]})
    assert "bee" in description(both)


async def test_a_record_of_an_earlier_version_has_none(served, create, connection):
    key = key_of(await create())
    spec = json.loads(connection.hget(key, "order"))
    del spec["true_label"], spec["settings"]["true_label"]
    connection.hset(key, "order", json.dumps(spec))
    [shown] = (await served.get(URL)).json()["items"]
    assert (shown["true_label"], shown["settings"]["true_label"]) == (None, None)
