"""A signed link shows the report of a batch to anybody who has it, and nothing else."""

import json

import pytest

from service.api.auth.keys import Scope
from service.infra.settings.api import ApiSettings
from tests.api.auth.keyholders import bearing, issue
from tests.api.conftest import some_arrays, some_regions

URL = "/v1/batches"


@pytest.fixture
def mine(keys_file):
    return bearing(issue(keys_file, "clinic", Scope.EXPLAIN))


@pytest.fixture
def settings(settings, keys_file, mine) -> ApiSettings:
    return settings.model_copy(update={"keys_file": keys_file, "max_link_s": 1000})


@pytest.fixture
def submit(served, fake_worker, new_photo, mine):
    """Submits a batch of two pictures, which succeed; returns its document."""

    async def post():
        files = [("image", (f"{n}.png", new_photo(60 + n, 40))) for n in range(2)]
        options = ("settings", (None, json.dumps({"true_labels": ["ant", "bee"]})))
        headers = mine | {"Cache-Control": "no-store"}
        answer = await served.post(URL, files=[*files, options], headers=headers)
        assert answer.status_code == 202, answer.text
        for each in answer.json()["explanations"]:
            fake_worker.succeed(each["id"], arrays=some_arrays() | some_regions())
        return answer.json()

    return post


@pytest.fixture
async def done(submit):
    """The path of a batch that is done."""
    return f"{URL}/{(await submit())['id']}"


@pytest.fixture
def link(served, done, mine):
    """Makes a link to the batch; returns its document."""

    async def post(**wanted):
        answer = await served.post(f"{done}/links", json=wanted, headers=mine)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


async def test_a_link_shows_the_report_to_anybody_without_the_owner(served, done, link, mine):
    made = await link(path="report.html", lifetime_s=600)
    assert made["url"].startswith(f"http://localhost{done}/report.html?sig=")
    answer = await served.get(made["url"])
    own = await served.get(f"{done}/report.html", headers=mine)
    assert own.text.count("asked by clinic") == 1
    assert answer.status_code == 200
    assert answer.text == own.text.replace(" · asked by clinic", "")
    assert answer.headers["etag"] != own.headers["etag"]
    assert answer.headers["content-security-policy"] == own.headers["content-security-policy"]
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    private, max_age = answer.headers["cache-control"].split(", max-age=")
    assert private == "private"
    assert 0 < int(max_age) <= 600
    head = await served.head(made["url"])
    assert (head.status_code, head.content) == (200, b"")


async def test_the_printed_report_can_be_linked(served, link):
    answer = await served.get((await link(path="report.pdf"))["url"])
    assert answer.status_code == 200
    assert answer.content.startswith(b"%PDF-")


async def test_the_scope_results_permits_both_reports_and_nothing_else(served, done, link, refused):
    made = await link(scope="results")
    assert made["url"] is None
    assert (await link())["token"].split(".")[1] == "results"  # the default
    query = {"sig": made["token"]}
    for path in ("report.html", "report.pdf"):
        assert (await served.get(f"{done}/{path}", params=query)).status_code == 200, path
    for path in ("", "/attributions", "/heatmap.png"):
        refused(await served.get(done + path, params=query), 401, "unauthorized")
    refused(await served.get(URL, params=query), 401, "unauthorized")


async def test_a_link_permits_its_path_alone(served, done, link, refused):
    made = await link(path="report.html")
    query = {"sig": made["token"]}
    assert (await served.get(f"{done}/report.html", params=query)).status_code == 200
    refused(await served.get(f"{done}/report.pdf", params=query), 403, "invalid_link")
    refused(await served.get(made["url"] + "&lang=de"), 403, "invalid_link")


async def test_a_link_is_valid_for_one_batch_and_none_of_its_explanations(
    served, done, link, refused, submit, mine
):
    query = {"sig": (await link())["token"]}
    other = await submit()
    refused(await served.get(f"{URL}/{other['id']}/report.html", params=query), 403, "invalid_link")
    members = (await served.get(done, headers=mine)).json()["explanations"]
    for each in members:
        path = f"/v1/explanations/{each['id']}"
        refused(await served.get(f"{path}/report.html", params=query), 403, "invalid_link")
        own = (await served.post(f"{path}/links", json={}, headers=mine)).json()["token"]
        answer = await served.get(f"{done}/report.html", params={"sig": own})
        refused(answer, 403, "invalid_link")


@pytest.mark.parametrize(
    "alter",
    [
        lambda token: "1" + token,
        lambda token: token.replace(".results.", ".path."),
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda _: "",
        lambda token: [token, token],
    ],
)
async def test_an_altered_link_is_refused(served, done, link, refused, alter):
    query = {"sig": alter((await link())["token"])}
    refused(await served.get(f"{done}/report.html", params=query), 403, "invalid_link")


async def test_a_link_expires_by_the_clock_of_redis(served, link, refused, connection):
    made = await link(path="report.html", lifetime_s=1)
    signed_at = int(made["token"].split(".")[0]) - 1
    while connection.time()[0] < signed_at + 1:
        pass
    refused(await served.get(made["url"]), 410, "link_expired")


async def test_deleting_the_batch_revokes_its_links(served, done, link, refused, mine):
    made = await link(path="report.html")
    assert (await served.delete(done, headers=mine)).status_code == 204
    refused(await served.get(made["url"]), 404, "not_found")


async def test_a_link_changes_nothing(served, done, link, mine):
    query = {"sig": (await link())["token"]}
    for method, path in (("DELETE", ""), ("POST", "/cancel"), ("POST", "/links")):
        answer = await served.request(method, done + path, params=query)
        assert answer.status_code == 401, (path, answer.text)
    assert (await served.get(done, headers=mine)).json()["done"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"lifetime_s": 1001}, "lifetime_s"),
        ({"lifetime_s": 0}, "lifetime_s"),
        ({"path": "heatmap.png"}, "path"),  # of an explanation
        ({"path": "attributions"}, "path"),
        ({"path": "report.html?sig=a"}, "path"),
        ({"path": "report.html", "scope": "results"}, ""),
        ({"until": 3}, "until"),
    ],
)
async def test_links_to_other_paths_are_refused(served, done, mine, refused, sent, field):
    answer = await served.post(f"{done}/links", json=sent, headers=mine)
    problem = refused(answer, 422, "invalid_parameter")
    assert problem["field"] == field
    if field == "path":
        assert problem["accepted"] == ["report.html", "report.pdf"]


@pytest.mark.parametrize("scopes", [(Scope.AUDITOR,), (Scope.AUDITOR, Scope.EXPLAIN)])
async def test_who_may_only_read_a_batch_opens_its_report_by_a_link_for_a_minute(
    served, done, keys_file, refused, scopes
):
    auditor = bearing(issue(keys_file, "watch", *scopes))
    made = await served.post(
        f"{done}/links", json={"path": "report.html", "lifetime_s": 60}, headers=auditor
    )
    assert (await served.get(made.json()["url"])).is_success
    for sent in ({}, {"lifetime_s": 60}, {"path": "report.html", "lifetime_s": 61}):
        answer = await served.post(f"{done}/links", json=sent, headers=auditor)
        problem = refused(answer, 403, "forbidden")
        assert "only read this batch" in problem["detail"]
        assert "at most 60" in problem["detail"]


async def test_who_does_not_see_a_batch_makes_no_link_to_it(served, done, keys_file, refused):
    other = bearing(issue(keys_file, "lab", Scope.EXPLAIN))
    sent = {"path": "report.html", "lifetime_s": 60}
    refused(await served.post(f"{done}/links", json=sent, headers=other), 404, "not_found")
    refused(await served.post(f"{done}/links", json=sent), 401, "unauthorized")


async def test_the_audit_log_tells_who_made_a_link_and_that_it_was_used(
    served, done, link, keys_file
):
    await served.get((await link(path="report.html"))["url"])
    auditor = bearing(issue(keys_file, "watch", Scope.AUDITOR))
    query = {"explanation": done.rpartition("/")[2], "order": "oldest"}
    page = (await served.get("/v1/audit", params=query, headers=auditor)).json()
    told = [(each["action"], each["what"], each["actor"]) for each in page["items"]]
    assert told[-2:] == [("link_made", "link", "clinic"), ("link_used", "report", None)]
