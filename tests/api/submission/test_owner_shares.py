"""The share of the queue that each key may use, and who gets cached results."""

import pytest

from service.api.auth.keys import Scope
from tests.api.auth.keyholders import bearing, issue

URL = "/v1/explanations"


@pytest.fixture
def keys(tmp_path):
    """The headers with each of two keys."""
    file = tmp_path / "keys.jsonl"
    return [bearing(issue(file, name, Scope.EXPLAIN)) for name in ("clinic", "lab")]


@pytest.fixture
def settings(settings, tmp_path, keys):
    return settings.model_copy(
        update={"keys_file": tmp_path / "keys.jsonl", "max_queued_per_key": 1}
    )


async def test_a_key_at_its_share_of_the_queue_gets_retry_after(served, keys, photo, refused):
    mine, theirs = keys
    post = {"url": URL, "files": {"image": ("p", photo)}}
    assert (await served.post(**post, headers=mine)).status_code == 202
    answer = await served.post(**post, headers=mine)
    refused(answer, 429, "share_full")
    assert answer.headers["retry-after"] == "10"
    assert (await served.post(**post, headers=theirs)).status_code == 202


async def test_results_of_one_key_are_no_cache_hits_of_another(served, keys, photo, fake_worker):
    mine, theirs = keys
    post = {"url": URL, "files": {"image": ("p", photo)}}
    fake_worker.succeed((await served.post(**post, headers=mine)).json()["id"])
    assert (await served.post(**post, headers=theirs)).status_code == 202
    found = await served.post(**post, headers=mine)
    assert found.status_code == 200
    assert (await served.get(f"{URL}/{found.json()['id']}", headers=theirs)).status_code == 404
