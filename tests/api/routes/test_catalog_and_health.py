"""The list of models, and whether the service is ready to explain."""

import pytest

from tests.faulty_store import replace_by_file


async def test_models_are_listed_with_the_default_first_and_without_labels(
    api, fake_worker, new_card
):
    fake_worker.announce(new_card(name="a", default=False), new_card(name="z"))
    items = (await api.get("/v1/models")).json()["items"]
    assert [(item["name"], item["default"]) for item in items] == [("z", True), ("a", False)]
    assert "labels" not in items[0]
    assert items[0]["input_shape"] == [8, 12, 3]


async def test_a_model_is_shown_with_its_labels(served):
    card = (await served.get("/v1/models/tiny")).json()
    assert card["labels"] == ["ant", "bee", "crane", "dog", "crane"]
    assert card["status"] == "available"


async def test_an_unknown_model_is_not_found(served, refused):
    problem = refused(await served.get("/v1/models/none"), 404, "not_found")
    assert problem["accepted"] == ["tiny"]


async def test_a_model_without_a_worker_is_shown_as_unavailable(api, fake_worker, new_card):
    fake_worker.announce(new_card(), lease_s=-1)
    card = (await api.get("/v1/models/tiny")).json()
    assert card["status"] == "unavailable"
    assert "no live worker" in card["reason"]


async def test_without_models_the_list_is_empty(api):
    assert (await api.get("/v1/models")).json() == {"items": []}


async def test_the_root_says_where_to_begin(api):
    welcome = (await api.get("/")).json()
    assert welcome["name"] == "Shapshot"
    for name, link in welcome["links"].items():
        if name != "ready":
            assert (await api.get(link)).status_code == 200


async def test_the_liveness_probe_succeeds(api):
    assert (await api.get("/healthz/live")).json() == {"status": "live"}


async def test_ready_means_that_a_worker_serves_a_model(served):
    answer = await served.get("/healthz/ready")
    assert answer.json() == {"status": "ready", "workers": 1, "models": ["tiny"]}


async def test_without_a_worker_it_is_not_ready(api, fake_worker, new_card, refused):
    refused(await api.get("/healthz/ready"), 503, "no_worker")
    fake_worker.announce(new_card(), lease_s=-1)
    refused(await api.get("/healthz/ready"), 503, "no_worker")


@pytest.mark.parametrize("status", ["loading", "unavailable"])
async def test_without_an_available_model_it_is_not_ready(
    api, fake_worker, new_card, refused, status
):
    fake_worker.announce(new_card(status=status, reason="on its way"))
    problem = refused(await api.get("/healthz/ready"), 503, "model_unavailable")
    assert "tiny: on its way" in problem["detail"]


async def test_without_its_store_it_is_not_ready(served, refused, tmp_path):
    replace_by_file(tmp_path / "store")
    refused(await served.get("/healthz/ready"), 503, "store_unavailable")
