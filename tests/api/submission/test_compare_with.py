"""A second model to compare with: which are accepted, and what the job and the cache know of it."""

import pytest

from service.jobs.worker_registry import announce
from service.schemas.fingerprint import fingerprint_of, model_ref
from tests.tiny import MODEL, PARTS, card

URL = "/v1/explanations"
OTHER = PARTS.model_copy(update={"weights": "sha256:" + "0" * 64})
LABELS = ["ant", "bee", "crane", "dog", "crane"]


@pytest.fixture
def serve(served, fake_worker, new_card):
    """Announces a second model; arguments replace fields of its card."""

    def announced(**differing):
        other = {"name": "other", "default": False, "parts": OTHER} | differing
        fake_worker.announce(new_card(), new_card(**other))

    return announced


async def test_the_job_knows_both_models(ask, serve, ledger):
    serve()
    document = (await ask(compare_with="other")).json()
    assert document["settings"]["compare_with"] == "other"
    assert document["compared"] == model_ref("other", OTHER, "crop").model_dump(mode="json")
    assert document["model"]["name"] == "tiny"
    assert ledger.read(document["id"]).spec.compared.name == "other"
    alone = (await ask()).json()
    assert alone["compared"] is alone["settings"]["compare_with"] is None


async def test_a_compared_model_may_be_pinned(ask, serve, refused):
    serve()
    pin = {"name": "other", "fingerprint": fingerprint_of(OTHER)}
    assert (await ask(compare_with=pin)).json()["settings"]["compare_with"] == "other"
    wrong = pin | {"fingerprint": MODEL.fingerprint}
    problem = refused(await ask(compare_with=wrong), 409, "model_changed")
    assert problem["field"] == "settings.compare_with.fingerprint"


@pytest.mark.parametrize(
    ("differing", "asked", "status", "code", "said"),
    [
        ({}, {"compare_with": "tiny"}, 422, "invalid_settings", "the model itself"),
        ({}, {"compare_with": "nobody"}, 422, "unknown_model", "no model 'nobody'"),
        ({"input_shape": (8, 12, 1)}, {}, 422, "invalid_settings", "1 channels and tiny of 3"),
        ({"labels": [*LABELS[:3], "cat", "crane"]}, {}, 422, "invalid_settings", "called 'dog'"),
        (
            {"labels": LABELS[::-1]},
            {"outputs": {"indices": [0, 4]}},
            422,
            "invalid_settings",
            "or several, called",
        ),
        (
            {"labels": ["0", "1", "2"], "output_count": 3},
            {},
            422,
            "invalid_settings",
            "tiny has 5 outputs and other 3",
        ),
        ({"fits": ["pad"]}, {}, 422, "invalid_settings", "does not allow the fit crop"),
        (
            {"status": "unavailable", "reason": "its weights are gone"},
            {},
            503,
            "model_unavailable",
            "its weights are gone",
        ),
    ],
)
async def test_a_model_that_cannot_be_compared_is_refused_with_the_reason(
    ask, serve, refused, differing, asked, status, code, said
):
    serve(**differing)
    problem = refused(await ask(**{"compare_with": "other"} | asked), status, code)
    assert said in problem["detail"]
    if "fits" not in differing:
        assert problem["field"] == "settings.compare_with"


async def test_classes_in_another_order_are_compared_where_the_labels_tell(ask, serve):
    serve(labels=["dog", "bee", "ant", "fox", "crane"])
    outputs = {"labels": ["ant", "dog"]}
    assert (await ask(compare_with="other", outputs=outputs)).status_code == 202
    refusal = await ask(compare_with="other")
    assert "name outputs that both have" in refusal.json()["detail"]
    assert refusal.json()["accepted"] == {"outputs": ["ant", "bee", "dog", "crane"]}


async def test_one_worker_must_serve_both(ask, serve, refused, connection):
    serve()
    announce(connection, "hand", [card()], lease_s=600)
    connection.hdel("shapshot:worker:hand", "other")
    away = card(name="other", default=False, parts=OTHER)
    announce(connection, "elsewhere", [away], lease_s=600)
    answer = await ask(compare_with="other")
    problem = refused(answer, 503, "model_unavailable")
    assert "no live worker serves both tiny and other" in problem["detail"]
    assert "retry-after" in answer.headers
    announce(connection, "elsewhere", [card(), away], lease_s=600)
    assert (await ask(compare_with="other")).status_code == 202


async def test_a_cached_result_answers_only_the_same_comparison(ask, serve, fake_worker):
    serve()
    for settings in ({"compare_with": "other"}, {}):
        assert (await ask(**settings)).headers["cache-status"] == "Shapshot; fwd=miss"
        fake_worker.succeed((await ask(**settings)).json()["id"])
        assert (await ask(**settings)).headers["cache-status"] == "Shapshot; hit"
    serve(parts=OTHER.model_copy(update={"weights": "sha256:" + "1" * 64}))
    assert (await ask(compare_with="other")).headers["cache-status"] == "Shapshot; fwd=miss"
    serve(device="gpu:0 H200")
    assert (await ask(compare_with="other")).headers["cache-status"] == "Shapshot; fwd=miss"


async def test_a_comparison_counts_three_results_of_each_output(
    ask, serve, start, settings, refused
):
    serve()
    held = 8 * 12 * 3 + 500
    limited = settings.model_copy(update={"max_values": 6 * held})
    async with start(limited) as api:
        answer = await ask(api=api, outputs={"top": 3}, compare_with="other")
        problem = refused(answer, 422, "invalid_settings")
        assert problem["accepted"] == {"maximum": 2}
        assert problem["received"] == 3
        answer = await ask(api=api, outputs={"top": 2}, compare_with="other")
        assert answer.status_code == 202


async def test_a_batch_plans_the_evaluations_of_both_models(served, serve, photo):
    serve()
    settings = '{"compare_with": "other", "max_evals": 100}'
    files = [("image", ("a.png", photo)), ("settings", (None, settings))]
    batch = (await served.post("/v1/batches", files=files)).json()
    assert batch["progress"]["planned"] == 200
    assert batch["settings"]["compare_with"] == "other"
