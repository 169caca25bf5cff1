"""URLs that clients choose lead to public addresses and networks of the operator, nowhere else."""

import socket
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.outbound.addresses import refusal
from service.api.outbound.destinations import (
    OutboundPolicy,
    RefusedUrlError,
    UnreachableError,
    parse,
    resolve,
)

LOCAL = OutboundPolicy(networks=[ip_network("127.0.0.0/8")])


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0", "unspecified"),  # noqa: S104
        ("0.1.2.3", ""),
        ("10.1.2.3", "private"),
        ("100.64.0.1", "shared"),
        ("127.8.8.8", "loopback"),
        ("169.254.169.254", "link-local"),
        ("172.31.255.255", "private"),
        ("192.0.0.8", ""),
        ("192.88.99.1", "relay"),
        ("192.168.0.1", "private"),
        ("198.18.0.1", ""),
        ("224.0.0.1", "multicast"),
        ("233.252.0.1", "multicast"),
        ("240.0.0.1", ""),
        ("255.255.255.255", ""),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", ""),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("64:ff9b:1::1", ""),
        ("2001::1", ""),
        ("2001:db8::1", ""),
        ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::1", "link-local"),
        ("fc00::1", "private"),
        ("fe80::1", "link-local"),
        ("fec0::1", ""),
        ("ff02::1", "multicast"),
    ],
)
def test_an_address_that_is_not_public_is_refused_by_what_it_is(address, kind):
    found = refusal(ip_address(address))
    assert found is not None
    assert kind in found


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.215.14",
        "2606:4700:4700::1111",
        "64:ff9b::1.1.1.1",
        "2002:101:101::",
        "::ffff:1.1.1.1",
    ],
)
def test_a_public_address_is_accepted(address):
    assert refusal(ip_address(address)) is None


@given(st.ip_addresses())
def test_no_address_that_python_knows_as_not_global_is_accepted(address):
    if refusal(address) is None and address.version == 4:
        assert address.is_global


def test_a_network_of_the_operator_is_accepted_also_by_its_other_forms():
    ours = [ip_network("10.0.0.0/8")]
    assert refusal(ip_address("10.1.2.3"), ours) is None
    assert refusal(ip_address("::ffff:10.1.2.3"), ours) is None
    assert refusal(ip_address("192.168.0.1"), ours) == "private"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://a.example/", "begins with"),
        ("file:///etc/passwd", "begins with"),
        ("//a.example/", "begins with"),
        ("a.example", "begins with"),
        ("https://", "host name"),
        ("https://ann@a.example/", "user name"),
        ("https://ann:pw@a.example/", "user name"),
        ("https://a.example\\@b.example/", "backslashes"),
        ("https://a.example/\r\nX: y", "white space"),
        ("https://a.example/a b", "white space"),
        ("https://2130706433/", "four decimal"),
        ("https://0x7f000001/", "four decimal"),
        ("https://0x7f.1/", "four decimal"),
        ("https://127.1/", "four decimal"),
        ("https://0177.0.0.1/", "Invalid IPv4"),
        ("https://127.0.0.1.1/", "four decimal"),
        ("https://a.0x/", "four decimal"),
        ("https://a.example:0/", "1 to 65535"),
        ("https://a.example:99999/", "1 to 65535"),
        ("https://[::1/", "no URL"),
        ("https://[fe80::1%25eth0]/", "no URL|zone"),
        ("https://a..example/", "no URL|host name"),
        (f"https://{'a' * 64}.example/", "no URL|host name"),
        ("https://a.example/" + "x" * 2000, "2000 characters"),
    ],
)
def test_a_url_of_another_form_is_refused_with_the_reason(url, reason):
    with pytest.raises(RefusedUrlError, match=reason):
        parse(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:169.254.169.254]/latest/meta-data", "link-local"),
        ("https://localhost/", "its host has an address that is loopback"),
        ("https://localhost./", "loopback"),
        ("http://1.1.1.1/", "only https"),
        ("https://1.1.1.1:6379/", "port 6379 is not accepted here, only 80, 443"),
    ],
)
async def test_a_url_that_leads_elsewhere_is_refused_with_the_reason(url, reason):
    with pytest.raises(RefusedUrlError, match=reason):
        await resolve(url, OutboundPolicy())


async def test_settings_accept_more():
    assert (await resolve("https://1.1.1.1/", OutboundPolicy())).port == 443
    assert (await resolve("http://1.1.1.1/", OutboundPolicy(http=True))).port == 80
    assert (await resolve("https://1.1.1.1:8443/", OutboundPolicy(ports=[8443]))).port == 8443
    found = await resolve("http://127.0.0.1:6379/?q#f", LOCAL)
    assert (found.authority, found.target) == ("127.0.0.1:6379", b"/?q")


@pytest.mark.parametrize("addresses", [["1.1.1.1", "10.0.0.1"], ["10.0.0.1"], ["::ffff:127.0.0.1"]])
async def test_one_address_that_is_refused_refuses_the_host(monkeypatch, addresses):
    answers = [(0, 0, 0, "", (each, 0)) for each in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(RefusedUrlError) as refused:
        await resolve("https://rebinding.example/", OutboundPolicy())
    assert "10.0.0.1" not in str(refused.value)


async def test_a_host_that_does_not_resolve_is_named():
    with pytest.raises(UnreachableError, match=r"nowhere\.invalid does not resolve"):
        await resolve("https://nowhere.invalid/", OutboundPolicy())
