"""What a receiver gets, and what becomes of one that is rude."""

import asyncio
import socket
from ipaddress import ip_network

import pytest

from service.api.outbound.destinations import (
    OutboundPolicy,
    RefusedUrlError,
    UnreachableError,
)
from service.api.outbound.sender import OutboundSender
from tests.api.outbound.receivers import (
    certificate_for,
    drop,
    endless_body,
    endless_headers,
    never,
    receiving,
)

LOCAL = OutboundPolicy(networks=[ip_network("127.0.0.0/8")])


async def ask(url, *, sender=None, timeout_s=10.0, policy=LOCAL):
    sender = sender or OutboundSender(policy)
    try:
        async with sender.send(
            "POST", url, headers={"X-A": "b"}, content=b"{}", timeout_s=timeout_s
        ) as response:
            return response.status_code, response.headers
    finally:
        await sender.close()


async def test_a_receiver_gets_the_request_as_its_url_says(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with receiving(host="localhost") as receiver:
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", 0))]
        )
        assert (await ask(receiver.url))[0] == 204
    [received] = receiver.received
    assert received.line == "POST /hook?a=1 HTTP/1.1"
    assert received.headers["host"] == receiver.url.split("/")[2]
    assert received.headers["x-a"] == "b"
    assert received.body == b"{}"


async def test_the_host_is_resolved_once_and_connected_to_where_it_was_checked(monkeypatch):
    """A second look-up could give another address."""
    asked = []

    def rebinding(host, *_, **__):
        asked.append(host)
        return [(0, 0, 0, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", 0))]

    async with receiving(host="rebinding.example") as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        assert (await ask(receiver.url))[0] == 204
    assert asked == ["rebinding.example"]


async def test_the_next_address_is_tried_where_one_cannot_be_connected_to(monkeypatch):
    answers = [(0, 0, 0, "", (each, 0)) for each in ("127.0.0.3", "127.0.0.1")]
    async with receiving(host="two.example") as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
        assert (await ask(receiver.url))[0] == 204


async def test_a_redirect_is_not_followed():
    target = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n"
    async with receiving(target) as receiver:
        status, headers = await ask(receiver.url)
    assert status == 302
    assert headers["location"] == "http://169.254.169.254/"
    assert len(receiver.received) == 1


async def test_cookies_are_not_kept():
    set_cookie = b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n"
    sender = OutboundSender(LOCAL)
    async with receiving(set_cookie) as receiver:
        for _ in range(2):
            await ask(receiver.url, sender=sender)
    assert [("cookie" in each.headers) for each in receiver.received] == [False, False]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (never, "did not answer in 0.5 s"),
        (drop, "the connection broke|broke off"),
        (endless_headers, "broke off, or does not speak HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3, "broke off|broke"),
    ],
)
async def test_a_receiver_that_does_not_answer_is_left(answer, reason):
    async with receiving(answer) as receiver:
        with pytest.raises(UnreachableError, match=reason):
            await ask(receiver.url, timeout_s=0.5)


async def test_an_endless_body_is_not_read():
    async with receiving(endless_body) as receiver:
        assert (await ask(receiver.url))[0] == 200


async def test_the_time_of_the_caller_counts_too():
    sender = OutboundSender(LOCAL)
    async with receiving(endless_body) as receiver:

        async def read_all() -> None:
            async with sender.send("GET", receiver.url, headers={}, timeout_s=0.3) as response:
                async for _ in response.aiter_raw():
                    await asyncio.sleep(0)

        with pytest.raises(UnreachableError, match=r"did not answer in 0\.3 s"):
            await read_all()
    await sender.close()


async def test_refused_connections_are_named():
    with pytest.raises(UnreachableError, match="it refuses connections"):
        await ask("http://127.0.0.1:1/")
    with pytest.raises(RefusedUrlError, match="loopback"):
        await ask("https://127.0.0.1/", policy=OutboundPolicy())


@pytest.mark.parametrize(
    ("name", "accepted"), [("receiver.example", True), ("other.example", False)]
)
async def test_the_certificate_must_be_of_the_name_in_the_url(
    monkeypatch, tmp_path, name, accepted
):
    serving, trusting = certificate_for(name, tmp_path)
    async with receiving(context=serving, host="receiver.example") as receiver:
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", 0))]
        )
        sender = OutboundSender(LOCAL, trusting)
        if accepted:
            assert (await ask(receiver.url, sender=sender))[0] == 204
        else:
            with pytest.raises(UnreachableError, match="certificate is not valid: Hostname"):
                await ask(receiver.url, sender=sender)


async def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path):
    serving, _ = certificate_for("127.0.0.1", tmp_path)
    async with receiving(context=serving) as receiver:
        with pytest.raises(UnreachableError, match="certificate is not valid: self-signed"):
            await ask(receiver.url)
