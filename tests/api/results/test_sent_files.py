"""The picture and the label map are returned byte for byte, and the picture as a thumbnail."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from service.infra.artifact_store import image_key, label_map_key
from service.jobs.redis_keys import key_of
from tests.encoded import encoded, noise, npy

URL = "/v1/explanations"
LABELS = {"superpixels": {"kind": "labels"}}
FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "PPM": "image/x-portable-anymap",
    "AVIF": "image/avif",
}


@pytest.fixture
def send(served, photo):
    """Sends a picture with a file name; returns the document."""

    async def post(content=photo, name="photo.png"):
        answer = await served.post(URL, files={"image": (name, content)})
        assert answer.status_code == 202, answer.text
        return answer.json()

    return post


def labels() -> np.ndarray:
    found = np.zeros((40, 60), np.uint8)
    found[:, 30:] = 1
    return found


@pytest.mark.parametrize(("form", "media_type"), FORMATS.items())
async def test_a_picture_comes_back_byte_for_byte(served, send, new_photo, form, media_type):
    content = new_photo(form=form)
    document = await send(content, "a.x")
    answer = await served.get(document["links"]["picture"], headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.content == content
    headers = answer.headers
    assert headers["content-type"] == media_type
    assert headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert "content-encoding" not in headers  # the strong ETag is of these bytes
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'; sandbox")
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("encode", [encoded, npy])
async def test_a_label_map_comes_back_byte_for_byte(served, ask, encode):
    content = encode(labels())
    document = (await ask(label_map=content, **LABELS)).json()
    answer = await served.get(document["links"]["label_map"])
    assert answer.content == content
    kind = "application/x-npy" if encode is npy else "image/png"
    assert answer.headers["content-type"] == kind
    assert answer.headers["etag"] == f'"{document["label_map"]["sha256"]}"'
    end = "npy" if encode is npy else "png"
    assert f'filename="{document["id"]}-label_map.{end}"' in answer.headers["content-disposition"]


async def test_without_a_label_map_there_is_neither_link_nor_file(served, send, refused):
    links = (await send())["links"]
    assert "label_map" not in links
    refused(await served.get(f"{links['self']}/label_map"), 404, "not_found")


@pytest.mark.parametrize("path", ["picture", "thumbnail.png"])
async def test_a_known_file_is_not_sent_again(served, send, path):
    path = f"{(await send())['links']['self']}/{path}"
    answer = await served.get(path)
    known = {"If-None-Match": answer.headers["etag"]}
    again = await served.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert (await served.get(path, headers={"If-None-Match": '"other"'})).status_code == 200
    head = await served.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length", "content-disposition"):
        assert head.headers[name] == answer.headers[name]


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ("cat.png", 'inline; filename="cat.png"'),
        ("page.html", 'inline; filename="page.html.png"'),
        ('a";b.png', "inline; filename=\"a__b.png\"; filename*=UTF-8''a%22%3Bb.png"),
        ("grün.PNG", "inline; filename=\"gr_n.PNG\"; filename*=UTF-8''gr%C3%BCn.PNG"),
    ],
)
async def test_a_file_is_saved_under_its_name_with_an_extension_of_its_type(
    served, connection, send, name, disposition
):
    document = await send()
    key = key_of(document["id"])
    spec = json.loads(connection.hget(key, "order"))
    spec["image"]["name"] = name
    connection.hset(key, "order", json.dumps(spec))
    answer = await served.get(document["links"]["picture"])
    assert answer.headers["content-disposition"] == disposition


async def test_a_forged_name_and_format_add_no_header(served, connection, send):
    document = await send()
    key = key_of(document["id"])
    spec = json.loads(connection.hget(key, "order"))
    spec["image"] |= {"name": "a\r\nX-Evil: 1", "format": "text/html\r\nX-Evil: 1"}
    connection.hset(key, "order", json.dumps(spec))
    answer = await served.get(document["links"]["picture"])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "x-evil" not in answer.headers


async def test_an_expired_explanation_is_gone(served, send, fake_worker, refused):
    document = await send()
    fake_worker.succeed(document["id"])
    fake_worker.ledger.leave_tombstone(document["id"], tombstone_s=60)
    for path in ("picture", "label_map", "thumbnail.png"):
        refused(await served.get(f"{URL}/{document['id']}/{path}"), 410, "gone")


async def test_a_damaged_or_missing_file_is_no_result(served, ask, store, refused):
    document = (await ask(label_map=npy(labels()), **LABELS)).json()
    keys = {"picture": image_key, "label_map": label_map_key, "thumbnail": image_key}
    for link, key in keys.items():
        store.put(key(document["id"]), bytes(len(store.get(key(document["id"])))))
        problem = refused(await served.get(document["links"][link]), 404, "no_result")
        assert "damaged" in problem["detail"]
    store.delete_explanation(document["id"])
    problem = refused(await served.get(document["links"]["picture"]), 404, "no_result")
    assert "no longer in the store" in problem["detail"]


async def test_a_copy_of_an_earlier_result_has_its_files_too(served, ask, fake_worker, photo):
    fake_worker.succeed((await ask(label_map=npy(labels()), **LABELS)).json()["id"])
    again = (await ask(label_map=npy(labels()), **LABELS)).json()
    assert again["cached_from"]
    assert (await served.get(again["links"]["picture"])).content == photo
    assert (await served.get(again["links"]["label_map"])).content == npy(labels())


# --- Thumbnails


@pytest.mark.parametrize(
    ("size", "expected"), [(None, (128, 64)), (32, (32, 16)), (512, (400, 200))]
)
async def test_a_thumbnail_is_the_photo_made_small(served, send, size, expected):
    ramp = np.linspace(0, 255, 400).astype(np.uint8)
    content = encoded(np.tile(ramp[:, np.newaxis], (200, 1, 3)))
    query = {} if size is None else {"size": size}
    answer = await served.get((await send(content))["links"]["thumbnail"], params=query)
    assert answer.headers["content-type"] == "image/png"
    shown = Image.open(io.BytesIO(answer.content))
    assert shown.size == expected
    whole = np.asarray(Image.open(io.BytesIO(content)).resize(expected, Image.Resampling.BOX))
    assert np.abs(np.asarray(shown).astype(int) - whole).max() <= 4


async def test_a_thumbnail_is_upright(served, send):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    content = encoded(noise(60, 40), "JPEG", exif=exif)
    answer = await served.get((await send(content))["links"]["thumbnail"])
    assert Image.open(io.BytesIO(answer.content)).size == (40, 60)


@pytest.mark.parametrize("size", [15, 513, "big"])
async def test_a_thumbnail_has_bounds(served, send, refused, size):
    link = (await send())["links"]["thumbnail"]
    refused(await served.get(link, params={"size": size}), 422, "invalid_parameter")
