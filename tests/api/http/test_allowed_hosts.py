"""Host names that the server answers to: those of its own machine, or those configured."""

import pytest
from pydantic import ValidationError

from service.api.auth.keys import Scope
from service.infra.settings.api import ApiSettings
from tests.api.auth.keyholders import bearing, issue

URL = "/v1/explanations"
OURS = [
    *("localhost", "LOCALHOST", "localhost.", "localhost:8000", "localhost:", "shapshot.localhost"),
    *("127.0.0.1", "127.0.0.1:8000", "127.8.8.8:1", "[::1]", "[::1]:8000"),
]
STRANGE = [
    *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"),
    *("evillocalhost", "192.168.1.7", "0.0.0.0", "[::]:8000", "[2001:db8::1]", "127.1", "a..b"),  # noqa: S104
]
MALFORMED = ["", "[", "localhost localhost", "evil.example@localhost", "::1", "localhost:80:80"]


async def test_without_keys_only_names_of_this_machine_are_served(api, refused):
    for host in OURS:
        assert (await api.get(URL, headers={"Host": host})).status_code == 200, host
    for host in STRANGE:
        for method, path in (("GET", URL), ("POST", URL), ("GET", "/"), ("GET", "/healthz/live")):
            answer = await api.request(method, path, headers={"Host": host})
            problem = refused(answer, 421, "misdirected_request")
        assert (problem["field"], problem["received"]) == ("Host", host)
        assert problem["accepted"] == ["localhost", "*.localhost", "127.0.0.0/8", "[::1]"]
        assert "SHAPSHOT_ALLOWED_HOSTS" in problem["detail"]


async def test_an_invalid_host_is_refused(api, refused):
    for host in MALFORMED:
        refused(await api.get("/", headers={"Host": host}), 400, "bad_request")
    twice = [("Host", "localhost"), ("Host", "localhost")]
    assert refused(await api.get("/", headers=twice), 400, "bad_request")["field"] == "Host"


async def test_forwarded_host_headers_are_ignored(api, refused):
    strange = {
        "Host": "evil.example",
        "X-Forwarded-Host": "localhost",
        "Forwarded": "host=localhost",
    }
    refused(await api.get(URL, headers=strange), 421, "misdirected_request")
    ours = {"X-Forwarded-Host": "evil.example", "X-Original-Host": "evil.example"}
    assert (await api.get(URL, headers=ours)).status_code == 200


async def test_single_names_and_whole_domains_can_be_allowed(start, settings, refused):
    names = ("shapshot.example.org", "*.clinic.example", "[2001:db8::1]")
    async with start(settings.model_copy(update={"allowed_hosts": names})) as api:
        for host in (
            *("localhost", "shapshot.example.org", "Shapshot.Example.org:8443", "a.clinic.example"),
            *("a.b.clinic.example", "[2001:db8::1]:8000"),
        ):
            assert (await api.get(URL, headers={"Host": host})).status_code == 200, host
        for host in ("example.org", "clinic.example", "evilclinic.example", "a.clinic.example.net"):
            answer = await api.get(URL, headers={"Host": host})
            assert refused(answer, 421, "misdirected_request")["accepted"][-3:] == [*names]


async def test_with_keys_every_name_is_served_or_the_configured_ones(
    start, settings, refused, tmp_path
):
    keys_file = tmp_path / "keys.jsonl"
    key = bearing(issue(keys_file, "root", Scope.ADMIN))
    keyed = settings.model_copy(update={"keys_file": keys_file})
    async with start(keyed) as api:
        assert (await api.get(URL, headers=key | {"Host": "any.example"})).status_code == 200
        refused(await api.get(URL, headers=key | {"Host": "a b"}), 400, "bad_request")
    async with start(keyed.model_copy(update={"allowed_hosts": ("shapshot.example",)})) as api:
        assert (await api.get(URL, headers=key | {"Host": "shapshot.example"})).status_code == 200
        for host in ("any.example", "localhost", "10.42.0.7:8000"):
            answer = await api.get(URL, headers=key | {"Host": host})
            problem = refused(answer, 421, "misdirected_request")
            assert problem["accepted"] == ["shapshot.example"]
        for path in ("/healthz/live", "/metrics"):  # probes and scrapes use the address
            answer = await api.get(path, headers=key | {"Host": "10.42.0.7:8000"})
            assert answer.status_code == 200


def test_allowed_hosts_are_separated_by_commas_without_ports_or_wildcard(monkeypatch):
    monkeypatch.setenv("SHAPSHOT_ALLOWED_HOSTS", "shapshot.example, *.clinic.example,[::1]")
    assert ApiSettings().allowed_hosts == ("shapshot.example", "*.clinic.example", "[::1]")
    for text in ("*", "a:80", "http://a", "a/b", "a*.example", "*.*.example", "::1", "a b", "a..b"):
        monkeypatch.setenv("SHAPSHOT_ALLOWED_HOSTS", text)
        with pytest.raises(ValidationError, match="allowed_hosts"):
            ApiSettings()
