"""The name that a client gives to a picture is made safe and kept; it changes nothing else."""

import base64
import json

import pytest

from service.api.uploads.file_names import MAX_NAME, clean_name
from service.jobs.redis_keys import key_of

URL = "/v1/explanations"


@pytest.mark.parametrize(
    ("received", "kept"),
    [
        ("cat.jpg", "cat.jpg"),
        ("/home/me/cat.jpg", "cat.jpg"),
        ("C:\\fakepath\\cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd"),
        ("  two  words.png ", "two words.png"),
        ("a\r\nSet-Cookie: b.png", "a Set-Cookie: b.png"),
        ("nul\0l\x7f\x9b.png", "null.png"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),  # a direction mark would show exe.jpg
        ("u\u0308ber.png", "\u00fcber.png"),  # as macOS sends it
        ("k\u00e4se \U0001f9c0.png", "k\u00e4se \U0001f9c0.png"),
        (None, None),
        ("", None),
        ("folder/", None),
        (".", None),
        ("..", None),
        (" . ", None),
    ],
)
def test_the_base_name_is_kept_without_control_characters(received, kept):
    assert clean_name(received) == kept


def test_a_long_name_keeps_its_extension():
    assert clean_name("x" * 5000 + ".jpeg") == "x" * (MAX_NAME - 5) + ".jpeg"
    assert clean_name("x." + "y" * 5000) == "x." + "y" * (MAX_NAME - 2)


async def test_a_picture_keeps_the_name_of_its_part(served, photo):
    answer = await served.post(URL, files={"image": ("b\u00fccher/gr\u00fcn.png", photo)})
    assert answer.json()["image"]["name"] == "gr\u00fcn.png"
    assert (await served.get(answer.headers["location"])).json()["image"]["name"] == "gr\u00fcn.png"


@pytest.mark.parametrize(("sent", "kept"), [({"name": "a/b.png"}, "b.png"), ({}, None)])
async def test_a_json_document_may_name_its_picture(served, photo, sent, kept):
    document = {"image": base64.b64encode(photo).decode()} | sent
    assert (await served.post(URL, json=document)).json()["image"]["name"] == kept


async def test_another_file_name_makes_no_other_request(served, fake_worker, photo):
    first = await served.post(URL, files={"image": ("one.png", photo)})
    fake_worker.succeed(first.json()["id"])
    again = (await served.post(URL, files={"image": ("two.png", photo)})).json()
    assert again["cached_from"] == first.json()["id"]
    assert again["image"] == first.json()["image"] | {"name": "two.png"}


async def test_members_of_a_batch_show_their_names_and_top_classes(served, fake_worker, new_photo):
    files = [("image", (f"dir/{n}.png", new_photo(60 + n, 40))) for n in range(2)]
    batch = (await served.post("/v1/batches", files=files)).json()
    assert [each["name"] for each in batch["explanations"]] == ["0.png", "1.png"]
    assert [each["top"] for each in batch["explanations"]] == [None, None]
    found = fake_worker.succeed(batch["explanations"][0]["id"]).outcome.outputs
    first, second = (await served.get(batch["links"]["self"])).json()["explanations"]
    best = max(found, key=lambda output: output.score)
    assert first["top"] == {"index": best.index, "label": best.label, "score": best.score}
    assert second["top"] is None


async def test_a_batch_in_json_has_a_list_of_names(served, photo, refused):
    pictures = [base64.b64encode(photo).decode()] * 2
    batch = await served.post("/v1/batches", json={"images": pictures, "names": ["a.png", None]})
    assert [each["name"] for each in batch.json()["explanations"]] == ["a.png", None]
    short = await served.post("/v1/batches", json={"images": pictures, "names": ["a.png"]})
    assert "2 pictures; received 1" in refused(short, 400, "bad_request")["detail"]


async def test_a_record_of_an_earlier_version_has_no_name(served, create, connection):
    key = key_of(await create())
    spec = json.loads(connection.hget(key, "order"))
    assert spec["image"].pop("name") == "photo.png"
    connection.hset(key, "order", json.dumps(spec))
    [shown] = (await served.get(URL)).json()["items"]
    assert shown["image"]["name"] is None
