"""Pictures that a request names by URL: fetched like uploads, under the same guard as webhooks."""

import hashlib
from ipaddress import ip_network

import pytest

from tests.api.outbound.receivers import endless_body, never, receiving


def answering(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


@pytest.fixture
def settings(settings):
    return settings.model_copy(
        update={
            "outbound_allow": (ip_network("127.0.0.0/8"),),
            "picture_urls": True,
            "max_upload_bytes": 20_000,
        }
    )


@pytest.mark.parametrize("form", ["json", "multipart"])
async def test_a_picture_is_fetched_and_stored_like_an_upload(served, store, photo, form):
    # judged by its content, not by its header
    async with receiving(answering(photo, "Content-Type: text/html")) as server:
        url = server.url.replace("hook?a=1", "ward%207/a%20cat.png?size=2#x")
        if form == "json":
            answer = await served.post("/v1/explanations", json={"image_url": url})
        else:
            answer = await served.post("/v1/explanations", files={"image_url": (None, url)})
    assert answer.status_code == 202, answer.text
    image = answer.json()["image"]
    assert image["sha256"] == hashlib.sha256(photo).hexdigest()
    assert image["name"] == "a cat.png"
    assert store.get(f"explanations/{answer.json()['id']}/image") == photo
    assert server.received[0].line == "GET /ward%207/a%20cat.png?size=2 HTTP/1.1"


async def test_pictures_of_a_batch_are_fetched(served, new_photo):
    photos = [new_photo(60, 40), new_photo(40, 60)]
    async with receiving(*map(answering, photos)) as server:
        urls = [server.url, f"{server.url}2"]
        answer = await served.post(
            "/v1/batches", json={"image_urls": urls, "names": ["one.png", None]}
        )
        assert answer.status_code == 202, answer.text
    assert [each["name"] for each in answer.json()["explanations"]] == ["one.png", "hook"]
    async with receiving(*map(answering, photos)) as server:
        parts = [("image_url", (None, server.url)), ("image_url", (None, server.url))]
        answer = await served.post("/v1/batches", files=parts)
        assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("answer", "status", "code", "said"),
    [
        (answering(b"", status="404 Not Found"), 422, "invalid_image_url", "answered 404"),
        (
            answering(b"", "Location: http://169.254.169.254/", status="302 Found"),
            422,
            "invalid_image_url",
            "answered 302, and redirects are not followed",
        ),
        (
            answering(b"x", "Content-Encoding: gzip"),
            422,
            "invalid_image_url",
            "compressed",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", 422, "invalid_image_url", "broke off"),
        (endless_body, 413, "too_large", "may have 20000 bytes"),
        (answering(b"<html>"), 415, "unsupported_media_type", ""),
    ],
)
async def test_what_is_wrong_with_a_picture_by_url_is_named(
    served, refused, connection, answer, status, code, said
):
    async with receiving(answer) as server:
        answer = await served.post("/v1/explanations", json={"image_url": server.url})
    problem = refused(answer, status, code)
    assert said in problem["detail"]
    assert problem["field"] == ("image" if status == 415 else "image_url")
    assert connection.zcard("shapshot:explanations") == 0


async def test_a_server_that_does_not_answer_is_left(served, refused, monkeypatch):
    monkeypatch.setattr("service.api.uploads.picture_urls.FETCH_S", 0.3)
    async with receiving(never) as server:
        answer = await served.post("/v1/batches", json={"image_urls": [server.url]})
    problem = refused(answer, 422, "invalid_image_url")
    assert problem["field"] == "image_urls.0"
    assert "did not answer in 0.3 s" in problem["detail"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://10.0.0.1/a.png", "private"),
        ("http://169.254.169.254/latest/meta-data", "link-local"),
        ("http://2130706433/", "four decimal"),
        ("file:///etc/passwd", "begins with https"),
        ("https://ann:pw@a.example/", "no user name"),
        ("https://[::1", "no URL"),
    ],
)
async def test_an_address_that_may_not_be_called_is_refused(served, refused, url, said):
    answer = await served.post("/v1/explanations", json={"image_url": url})
    assert said in refused(answer, 422, "invalid_image_url")["detail"]


async def test_a_picture_and_a_url_are_not_both_taken(served, refused, photo):
    parts = {"image": ("a.png", photo), "image_url": (None, "https://a.example/")}
    problem = refused(await served.post("/v1/explanations", files=parts), 400, "bad_request")
    assert problem["field"] == "image_url"
    both = {"images": ["AA"], "image_urls": ["https://a.example/"]}
    problem = refused(await served.post("/v1/batches", json=both), 400, "bad_request")
    assert problem["field"] == "image_urls"
    problem = refused(await served.post("/v1/explanations", json={}), 400, "bad_request")
    assert "image is missing" in problem["detail"]


async def test_pictures_by_url_are_off_unless_a_setting_accepts_them(start, settings, refused):
    off = settings.model_copy(update={"picture_urls": False})
    async with receiving() as server, start(off) as api:
        answer = await api.post("/v1/explanations", json={"image_url": server.url})
    problem = refused(answer, 422, "invalid_image_url")
    assert "SHAPSHOT_PICTURE_URLS" in problem["detail"]
    assert problem["field"] == "image_url"
    assert server.received == []
