"""Uploads that POST /v1/explanations accepts, and the responses to all others."""

import asyncio
import base64
import hashlib
import json

import httpx
import pytest

URL = "/v1/explanations"


async def send(api: httpx.AsyncClient, *parts: tuple[str, object]) -> httpx.Response:
    return await api.post(URL, files=list(parts))


async def test_a_picture_alone_is_accepted_and_all_settings_come_back(served, photo):
    answer = await send(served, ("image", ("photo.png", photo)))
    document = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == document["links"]["self"] == f"{URL}/{document['id']}"
    assert answer.headers["retry-after"] == "1"
    assert document["status"] == "queued"
    assert document["settings"] == {
        "model": "tiny",
        "method": "partition",
        "masker": "inpaint_telea",
        "fit": "crop",
        "superpixels": {"kind": "pixels", "channels": "apart"},
        "outputs": {"top": 4, "indices": None, "labels": None},
        "max_evals": 500,
        "batch_size": 50,
        "fixed_context": None,
        "target_standard_error": None,
        "retention_s": None,
        "link": "identity",
        "regularization": "auto",
        "sampling": "adaptive",
        "interactions": 1,
        "prior": "picture",
        "score_scale": "auto",
        "solution_concept": None,
        "metrics": [],
        "seed": 0,
        "priority": "interactive",
        "metadata": {},
        "true_label": None,
        "compare_with": None,
    }


async def test_the_picture_is_described_upright(served, new_photo):
    content = new_photo(
        60,
        40,
        form="JPEG",
        exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00"
        b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00",
    )
    image = (await send(served, ("image", ("photo", content)))).json()["image"]
    assert (image["width"], image["height"], image["format"]) == (40, 60, "JPEG")
    assert image["bytes"] == len(content)


async def test_the_upload_is_stored_unchanged(served, store, photo):
    answer = await send(served, ("image", ("photo.png", photo)))
    assert store.get(f"explanations/{answer.json()['id']}/image") == photo


@pytest.mark.parametrize(
    "part",
    [
        (None, '{"seed": 7}'),
        (None, '{"seed": 7}', "application/json"),
        ("settings.json", '{"seed": 7}', "application/json"),
        ("settings", '{"seed": 7}', "application/octet-stream"),
    ],
)
async def test_settings_are_accepted_as_a_field_or_as_a_file(served, photo, part):
    answer = await send(served, ("image", ("photo.png", photo)), ("settings", part))
    assert answer.json()["settings"]["seed"] == 7


AS_PEOPLE_HAVE_IT = {
    "in lines": lambda text: (
        "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\n"
    ),
    "in lines of other lengths": lambda text: (
        " \t" + "\n".join([text[:7], text[7:100], text[100:]])
    ),
    "for URLs": lambda text: text.replace("+", "-").replace("/", "_"),
    "unpadded": lambda text: text.rstrip("="),
    "unpadded, for URLs": lambda text: text.translate(str.maketrans("+/", "-_", "=")),
    "overpadded": lambda text: text + "==",
    "in a URL in capitals": lambda text: "DATA:IMAGE/PNG;BASE64," + text,
    "in a URL of no type": lambda text: "data:;base64," + text,
    "in a URL with parameters": lambda text: "Data:image/png;name=a.png;Base64," + text,
    "in a URL with a line break": lambda text: " data:image/png;base64,\n" + text,
}


@pytest.mark.parametrize("size", [(50, 40), (51, 40), (52, 40)])  # padded by 0, 1 and 2
@pytest.mark.parametrize("form", AS_PEOPLE_HAVE_IT)
async def test_common_variants_of_base64_are_accepted(served, new_photo, form, size):
    content = new_photo(*size)
    text = AS_PEOPLE_HAVE_IT[form](base64.b64encode(content).decode())
    answer = await served.post(URL, json={"image": text})
    assert answer.status_code == 202, answer.text
    assert answer.json()["image"]["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("iVBO%Rw0", "character 4, '%'"),
        ("data:image/png;base64,iVBO\u00e9Rw0", "character 26, 'é'"),
        ("iVBO\nRw0K\nGg*o", "character 12, '*'"),
        ("iVB=ORw0", "character 3, '=', is padding before the end"),
        ("iVBOR", "truncated: 5 characters"),
        ("data:image/png,iVBORw0K", "a data: URL without ;base64"),
        ("data:image/png;base64", "a data: URL without ;base64"),
        ("data:text/plain;charset=utf-8,hello", "a data: URL without ;base64"),
    ],
)
async def test_invalid_base64_is_reported_with_its_position(served, refused, text, said):
    problem = refused(await served.post(URL, json={"image": text}), 400, "bad_request")
    assert said in problem["detail"]
    assert problem["field"] == "image"


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
async def test_a_byte_order_mark_before_json_does_no_harm(served, photo, mark):
    settings = {"seed": 3}
    body = json.dumps({"image": base64.b64encode(photo).decode(), "settings": settings}).encode()
    answer = await served.post(
        URL, content=mark + body, headers={"content-type": "application/json"}
    )
    assert answer.json()["settings"]["seed"] == 3
    files = {"image": ("p", photo), "settings": (None, mark + json.dumps(settings).encode())}
    assert (await served.post(URL, files=files)).json()["settings"]["seed"] == 3


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "latin-1"])
async def test_json_in_another_encoding_is_reported_as_such(served, refused, photo, encoding):
    text = '{"metadata": {"name": "Zo\u00eb"}}'
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    files = {"image": ("p", photo), "settings": (None, (mark + text).encode(encoding))}
    problem = refused(await served.post(URL, files=files), 400, "bad_request")
    wanted = (
        "settings is not UTF-8 at byte 25" if encoding == "latin-1" else "settings is in UTF-16"
    )
    assert wanted in problem["detail"]


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
async def test_json_with_base64_is_accepted_too(served, photo, prefix):
    image = prefix + base64.b64encode(photo).decode()
    answer = await served.post(URL, json={"image": image, "settings": {"seed": 7}})
    assert answer.status_code == 202
    assert answer.json()["settings"]["seed"] == 7
    assert answer.json()["image"]["bytes"] == len(photo)


async def test_resolved_settings_can_be_sent_again(served, create, photo):
    first = (await served.get(f"{URL}/{await create(outputs={'labels': ['bee']})}")).json()
    again = await send(
        served, ("image", ("p", photo)), ("settings", (None, json.dumps(first["settings"])))
    )
    assert again.json()["settings"] == first["settings"]


async def test_a_body_without_a_picture_is_malformed(served, refused):
    problem = refused(await send(served, ("settings", (None, "{}"))), 400, "bad_request")
    assert problem["field"] == "image"
    assert "missing" in problem["detail"]


async def test_a_picture_sent_as_text_is_malformed(served, refused, photo):
    answer = await send(served, ("image", (None, "text")))
    assert "filename" in refused(answer, 400, "bad_request")["detail"]


async def test_a_part_of_another_name_is_refused_with_the_accepted_ones(served, refused, photo):
    answer = await send(served, ("image", ("p", photo)), ("picture", ("p", photo)))
    problem = refused(answer, 400, "bad_request")
    assert problem["received"] == "picture"
    assert problem["accepted"] == ["image", "image_url", "label_map", "settings"]


@pytest.mark.parametrize("name", ["image", "settings"])
async def test_a_repeated_part_is_refused(served, refused, photo, name):
    parts = [("image", ("p", photo)), ("settings", (None, "{}"))]
    parts.append(next(part for part in parts if part[0] == name))
    assert refused(await send(served, *parts), 400, "bad_request")["field"] == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ('{"metadata": {"a": NaN}}', "NaN"),
        ('{"metadata": {"a": -Infinity}}', "Infinity"),
        ('{"metadata": {"a": 1e999}}', "range of a double"),
        ('{"seed": 1, "seed": 2}', "duplicate field names"),
        ('{"metadata": {"a": "\\ud800"}}', "lone surrogate"),
        ('{"metadata": {"a": ' + "[" * 40 + "]" * 40 + "}}", "levels"),
        ("[" * 100_000, "too deeply"),
    ],
)
async def test_settings_that_are_not_strict_json_are_malformed(served, refused, photo, text, said):
    answer = await send(served, ("image", ("p", photo)), ("settings", (None, text)))
    problem = refused(answer, 400, "bad_request")
    assert said in problem["detail"]
    assert problem["field"] == "settings"


async def test_metadata_comes_back_as_it_was_sent(served, create):
    metadata = {"case": "A-17", "ü": ["\u0000", 1e-300, 2**70, None, True, {"": "😀"}]}
    document = (await served.get(f"{URL}/{await create(metadata=metadata)}")).json()
    assert document["settings"]["metadata"] == metadata


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"[]", ""),
        (b"\xff", "body"),
        (b"{}", "image"),
        (b'{"image": 7}', "image"),
        (b'{"image": "AA==", "picture": "AA=="}', "picture"),
        (b'{"image": "not base64!"}', "image"),
    ],
)
async def test_a_malformed_json_body_is_refused(served, refused, body, field):
    answer = await served.post(URL, content=body, headers={"content-type": "application/json"})
    assert refused(answer, 400, "bad_request")["field"] == field


@pytest.mark.parametrize("sent", [None, [], "x", 3])
async def test_settings_in_json_must_be_an_object(served, refused, photo, sent):
    body = {"image": base64.b64encode(photo).decode(), "settings": sent}
    problem = refused(await served.post(URL, json=body), 422, "invalid_settings")
    assert problem["field"] == "settings"
    assert "object" in problem["detail"]


@pytest.mark.parametrize("media_type", ["", "text/plain", "image/png", "application/xml"])
async def test_another_content_type_is_refused_with_the_accepted_ones(
    served, refused, photo, media_type
):
    answer = await served.post(URL, content=photo, headers={"content-type": media_type})
    problem = refused(answer, 415, "unsupported_media_type")
    assert problem["accepted"] == ["multipart/form-data", "application/json"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary in sight",
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\nhalf',
        b"--b\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--b--\r\n",
    ],
)
async def test_a_malformed_multipart_body_is_refused(served, refused, body):
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = await served.post(URL, content=body, headers=headers)
    assert "multipart" in refused(answer, 400, "bad_request")["detail"]


async def test_a_multipart_body_without_a_boundary_is_refused(served, refused):
    headers = {"content-type": "multipart/form-data"}
    answer = await served.post(URL, content=b"x", headers=headers)
    assert "boundary" in refused(answer, 400, "bad_request")["detail"]


async def test_a_body_cut_off_within_the_settings_is_malformed(served, refused, photo):
    request = served.build_request(
        "POST", URL, files=[("image", ("p", photo)), ("settings", (None, '{"seed": 7}'))]
    )
    body = (await request.aread())[:-30]
    headers = {"content-type": request.headers["content-type"]}
    answer = await served.post(URL, content=body, headers=headers)
    assert "closing boundary" in refused(answer, 400, "bad_request")["detail"]


async def test_a_body_declared_too_large_is_refused_unread(start, settings, refused):
    limited = settings.model_copy(update={"max_upload_bytes": 1000})
    read = []

    async def body():
        read.append(1)
        yield b"x"

    async with start(limited) as api:
        headers = {"content-type": "application/json", "content-length": "1001"}
        answer = await api.post(URL, content=body(), headers=headers)
    problem = refused(answer, 413, "too_large")
    assert problem["accepted"] == {"maximum": 1000}
    assert not read


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=b"])
async def test_a_body_that_grows_too_large_is_refused_while_it_arrives(
    start, settings, refused, media_type
):
    limited = settings.model_copy(update={"max_upload_bytes": 1000})
    sent = []

    async def body():
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n'
        for _ in range(100):
            sent.append(100)
            yield b"x" * 100

    async with start(limited) as api:
        answer = await api.post(URL, content=body(), headers={"content-type": media_type})
    refused(answer, 413, "too_large")
    assert sum(sent) < 10_000


async def test_too_many_bytes_of_concurrent_bodies_are_refused_until_some_are_freed(
    start, settings, refused
):
    limited = settings.model_copy(update={"max_upload_bytes": 1000, "uploads_at_once": 1})
    held, release = asyncio.Event(), asyncio.Event()
    headers = {"content-type": "application/json"}

    async def body():
        yield b"x" * 900
        held.set()
        await release.wait()

    async with start(limited) as api:
        first = asyncio.create_task(api.post(URL, content=body(), headers=headers))
        await held.wait()
        answer = await api.post(URL, content=b"x" * 200, headers=headers)
        refused(answer, 503, "busy")
        assert "retry-after" in answer.headers
        release.set()
        refused(await first, 400, "bad_request")
        refused(await api.post(URL, content=b"x" * 200, headers=headers), 400, "bad_request")


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
async def test_a_compressed_body_is_refused_unread(served, refused, encoding):
    headers = {"content-type": "application/json", "content-encoding": encoding}
    answer = await served.post(URL, content=b"never looked at", headers=headers)
    assert refused(answer, 415, "unsupported_media_type")["received"] == encoding
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("content", [b"", b"hello", b"<svg xmlns='x'/>", b"%PDF-1.7"])
async def test_a_file_that_is_not_a_picture_is_unsupported(served, refused, content):
    problem = refused(await send(served, ("image", ("p", content))), 415, "unsupported_media_type")
    assert "JPEG" in problem["accepted"]


async def test_a_picture_cut_short_is_invalid(served, refused, photo):
    answer = await send(served, ("image", ("p", photo[: len(photo) // 2])))
    assert refused(answer, 422, "invalid_image")["field"] == "image"


async def test_a_picture_of_too_many_pixels_is_too_large(
    start, settings, fake_worker, new_card, refused, photo
):
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"max_pixels": 2399})) as api:
        problem = refused(await send(api, ("image", ("p", photo))), 413, "too_large")
    assert problem["accepted"] == {"maximum": 2399}
    assert "60 x 40" in problem["detail"]


async def test_a_refused_upload_leaves_nothing_behind(served, connection, tmp_path):
    before = set(connection.keys())
    await send(served, ("image", ("p", b"no picture")))
    assert set(connection.keys()) <= before | {b"shapshot:audit"}  # the start, noted meanwhile
    assert not list((tmp_path / "store" / "explanations").rglob("*"))
