"""A signed link shows what it permits to anybody who has it, until it expires, and nothing else."""

import json
import re

import pytest
from structlog.testing import capture_logs

from service.api.auth.keys import Scope
from service.infra.settings.api import ApiSettings
from service.jobs.redis_keys import LINK_KEY
from service.render import FORMATS
from tests.api.auth.keyholders import bearing, issue
from tests.api.conftest import some_arrays, some_curves, some_regions

URL = "/v1/explanations"
OVERLAY = "heatmap.png?style=overlay&size=64"


@pytest.fixture
def mine(keys_file):
    return bearing(issue(keys_file, "clinic", Scope.EXPLAIN))


@pytest.fixture
def settings(settings, keys_file, mine) -> ApiSettings:
    return settings.model_copy(update={"keys_file": keys_file, "max_link_s": 1000})


@pytest.fixture
async def done(served, fake_worker, photo, mine):
    """The path of an explanation that has succeeded."""
    parts = {"image": ("photo.png", photo), "settings": (None, '{"metrics": ["insertion"]}')}
    document = (await served.post(URL, files=parts, headers=mine)).json()
    arrays = some_arrays() | some_regions()
    fake_worker.succeed(document["id"], arrays=arrays, curves=some_curves("insertion"))
    return document["links"]["self"]


@pytest.fixture
def link(served, done, mine):
    """Makes a link to the explanation; returns its document."""

    async def post(**wanted):
        answer = await served.post(f"{done}/links", json=wanted, headers=mine)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


async def test_a_link_shows_its_picture_to_anybody_who_has_it(served, done, link, mine):
    made = await link(path=OVERLAY, lifetime_s=600)
    assert made["url"].startswith(f"http://localhost{done}/{OVERLAY}&sig=")
    answer = await served.get(made["url"])
    own = await served.get(f"{done}/{OVERLAY}", headers=mine)
    assert (answer.status_code, answer.content) == (200, own.content)
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert own.headers["cross-origin-resource-policy"] == "same-origin"
    head = await served.head(made["url"])
    assert (head.status_code, head.content) == (200, b"")
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await served.get(made["url"], headers=known)).status_code == 304


async def test_caches_do_not_keep_a_response_beyond_the_expiry_of_its_link(served, link):
    answer = await served.get((await link(path=OVERLAY, lifetime_s=600))["url"])
    private, max_age = answer.headers["cache-control"].split(", max-age=")
    assert private == "private"
    assert 0 < int(max_age) <= 600


DRAWINGS = [f"{name}.{form}" for name in ("heatmap", "faithfulness") for form in FORMATS]


@pytest.mark.parametrize("path", DRAWINGS)
async def test_each_drawing_can_be_linked(served, done, link, mine, path):
    own = await served.get(f"{done}/{path}", headers=mine)
    for url in ((await link(path=path))["url"], f"{done}/{path}?sig={(await link())['token']}"):
        answer = await served.get(url)
        assert (answer.status_code, answer.content) == (200, own.content)


async def test_a_linked_report_does_not_name_the_owner(served, done, link, mine):
    own = await served.get(f"{done}/report.html", headers=mine)
    answer = await served.get((await link(path="report.html"))["url"])
    assert own.text.count("asked by clinic") == 1
    assert answer.status_code == 200
    assert answer.text == own.text.replace(" · asked by clinic", "")
    assert answer.headers["etag"] != own.headers["etag"]


async def test_what_names_the_owner_cannot_be_linked(served, done, link, mine, refused):
    token = (await link())["token"]
    for path in ("record", "bundle.zip"):
        made = await served.post(f"{done}/links", json={"path": path}, headers=mine)
        assert refused(made, 422, "invalid_parameter")["field"] == "path"
        refused(await served.get(f"{done}/{path}?sig={token}"), 401, "unauthorized")


async def test_the_scope_results_permits_all_results_and_nothing_else(served, done, link, refused):
    made = await link(scope="results")
    assert made["url"] is None
    assert (await link())["token"].split(".")[1] == "results"  # the default
    query = {"sig": made["token"]}
    for path in ("heatmap.png", "attributions", "regions", "faithfulness", "faithfulness.png"):
        assert (await served.get(f"{done}/{path}", params=query)).status_code == 200, path
    small = query | {"size": 32}
    assert (await served.get(f"{done}/thumbnail.png", params=small)).status_code == 200
    refused(await served.get(f"{done}/picture", params=query), 403, "invalid_link")
    for path in ("", "/events"):
        refused(await served.get(done + path, params=query), 401, "unauthorized")
    refused(await served.get(URL, params=query), 401, "unauthorized")


@pytest.mark.parametrize("path", ["picture", "heatmap.png?output=crane", "thumbnail.png?size=32"])
async def test_a_link_permits_its_path_alone(served, done, link, refused, path):
    made = await link(path=path)
    assert (await served.get(made["url"])).status_code == 200
    token = {"sig": made["token"]}
    for other in ("heatmap.png", "heatmap.png?output=ant", "attributions"):
        joint = "&" if "?" in other else "?"
        answer = await served.get(f"{done}/{other}{joint}sig={token['sig']}")
        refused(answer, 403, "invalid_link")
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_a_link_changes_nothing(served, done, link, method, mine):
    token = (await link())["token"]
    for path in (done, f"{done}/cancel", f"{done}/links", f"{done}/heatmap.png"):
        answer = await served.request(method, path, params={"sig": token})
        assert answer.status_code in (401, 405), (path, answer.text)
    assert (await served.get(done, headers=mine)).json()["status"] == "succeeded"


async def test_a_link_is_valid_for_one_explanation(served, link, refused, photo, mine):
    token = (await link())["token"]
    other = await served.post(URL, files={"image": ("b.png", photo)}, headers=mine)
    path = f"{other.headers['location']}/thumbnail.png"
    refused(await served.get(path, params={"sig": token}), 403, "invalid_link")


@pytest.mark.parametrize(
    "alter",
    [
        lambda token: "1" + token,
        lambda token: token.replace(".results.", ".path."),
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token[:-1],
        lambda _: "",
        lambda _: "é",
        lambda token: [token, token],
    ],
)
async def test_an_altered_link_is_refused(served, done, link, refused, alter):
    token = alter((await link())["token"])
    refused(await served.get(f"{done}/heatmap.png", params={"sig": token}), 403, "invalid_link")


async def test_a_link_expires_by_the_clock_of_redis(
    served, done, link, refused, connection, settings
):
    made = await link(path=OVERLAY, lifetime_s=1)
    signed_at = int(made["token"].split(".")[0]) - 1
    while connection.time()[0] < signed_at + 1:
        pass
    problem = refused(await served.get(made["url"]), 410, "link_expired")
    assert "expired" in problem["detail"]


async def test_deleting_the_explanation_revokes_its_links(served, done, link, refused, mine):
    made = await link(path=OVERLAY)
    assert (await served.delete(done, headers=mine)).status_code == 204
    refused(await served.get(made["url"]), 404, "not_found")


async def test_all_processes_share_one_key_and_a_new_key_revokes_all_links(
    served, start, settings, link, refused, connection
):
    made = await link(path=OVERLAY)
    async with start(settings) as other:
        assert (await other.get(made["url"])).status_code == 200
    assert connection.delete(LINK_KEY)
    refused(await served.get(made["url"]), 403, "invalid_link")
    again = await link(path=OVERLAY)
    assert (await served.get(again["url"])).status_code == 200


async def test_a_key_in_the_settings_is_used(
    served, start, settings, link, refused, connection, done, mine
):
    foreign = await link(path=OVERLAY)
    read = ApiSettings(link_key="k" * 32).link_key
    async with start(settings.model_copy(update={"link_key": read})) as api:
        refused(await api.get(foreign["url"]), 403, "invalid_link")
        made = (await api.post(f"{done}/links", json={"path": OVERLAY}, headers=mine)).json()
        assert (await api.get(made["url"])).status_code == 200
    refused(await served.get(made["url"]), 403, "invalid_link")


@pytest.mark.parametrize(
    ("sent", "code", "field"),
    [
        ({"lifetime_s": 1001}, "invalid_parameter", "lifetime_s"),
        ({"lifetime_s": 0}, "invalid_parameter", "lifetime_s"),
        ({"path": "events"}, "invalid_parameter", "path"),
        ({"path": "../exp_0/heatmap.png"}, "invalid_parameter", "path"),
        ({"path": "heatmap.png?sig=a"}, "invalid_parameter", "path"),
        ({"path": "heatmap.png", "scope": "results"}, "invalid_parameter", ""),
        ({"scope": "all"}, "invalid_parameter", "scope"),
        ({"until": 3}, "invalid_parameter", "until"),
    ],
)
async def test_links_to_other_paths_are_refused(served, done, mine, refused, sent, code, field):
    answer = await served.post(f"{done}/links", json=sent, headers=mine)
    assert refused(answer, 422, code)["field"] == field


@pytest.mark.parametrize("sent", [{}, {"lifetime_s": 60}, {"path": "report.html"}])
@pytest.mark.parametrize("scope", [Scope.READ, Scope.AUDITOR])
async def test_a_reading_key_makes_no_lasting_links(served, done, refused, keys_file, scope, sent):
    looker = bearing(issue(keys_file, "clinic", scope))
    problem = refused(
        await served.post(f"{done}/links", json=sent, headers=looker), 403, "forbidden"
    )
    assert "at most 60" in problem["detail"]


@pytest.mark.parametrize("scopes", [(Scope.AUDITOR,), (Scope.AUDITOR, Scope.EXPLAIN)])
async def test_an_auditor_opens_a_report_by_a_link_for_a_minute(served, done, keys_file, scopes):
    auditor = bearing(issue(keys_file, "watch", *scopes))
    for lifetime_s, status in ((60, 200), (61, 403)):
        sent = {"path": "report.html", "lifetime_s": lifetime_s}
        made = await served.post(f"{done}/links", json=sent, headers=auditor)
        assert made.status_code == status
        if status == 200:
            assert (await served.get(made.json()["url"])).is_success


async def test_no_token_is_logged(served, link):
    made = await link(path=OVERLAY)
    with capture_logs() as lines:
        await served.get(made["url"])
        await served.get(made["url"] + "x")
    assert [line for line in lines if line["event"] == "request"]
    assert not re.search(made["token"][-20:], json.dumps(lines, default=str))


async def test_without_keys_a_link_lets_other_pages_show_a_picture(start, settings, done, link):
    made = await link(path=OVERLAY)
    async with start(settings.model_copy(update={"keys_file": None})) as unlocked:
        answer = await unlocked.get(made["url"])
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
