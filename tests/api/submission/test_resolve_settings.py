"""Settings are checked against the available models."""

import time

import pytest

from service.schemas.fingerprint import fingerprint_of, model_ref
from tests.tiny import MODEL, PARTS, card

OTHER = PARTS.model_copy(update={"weights": "sha256:" + "0" * 64})
URL = "/v1/explanations"
KINDS = {"kind": ["grid", "labels", "pixels", "slic"]}


@pytest.mark.parametrize(
    ("wrong", "field", "accepted"),
    [
        ({"max_evals": 1}, "settings.max_evals", {"minimum": 2}),
        ({"max_evals": "500"}, "settings.max_evals", {"type": "integer"}),
        ({"max_evals": 100_001}, "settings.max_evals", {"maximum": 100_000}),
        ({"seed": -1}, "settings.seed", {"minimum": 0, "maximum": 2**32 - 1}),
        ({"batch_size": 0}, "settings.batch_size", {"minimum": 1, "maximum": 100_000}),
        (
            {"method": "magic"},
            "settings.method",
            ["partition", "permutation", "kernel", "exact", "gaussian_process"],
        ),
        ({"link": "log"}, "settings.link", ["identity", "logit"]),
        ({"fixed_context": 2}, "settings.fixed_context", [0, 1]),
        ({"fixed_context": True}, "settings.fixed_context", [0, 1]),
        ({"masker": "black"}, "settings.masker", {"type": "string"}),
        ({"masker": "blur(0,3)"}, "settings.masker", {"type": "string"}),
        (
            {"masker": "blur(5000,3)"},
            "settings.masker",
            {"kernel": {"minimum": 1, "maximum": 4096}},
        ),
        ({"masker": "constant(256)"}, "settings.masker", {"numbers": [1, 3]}),
        ({"masker": "constant(1,2)"}, "settings.masker", {"numbers": [1, 3]}),
        ({"outputs": {}}, "settings.outputs", ["indices", "labels", "top"]),
        ({"outputs": {"top": 1, "indices": [0]}}, "settings.outputs", ["indices", "labels", "top"]),
        ({"outputs": {"top": 0}}, "settings.outputs.top", {"minimum": 1}),
        ({"outputs": {"indices": []}}, "settings.outputs.indices", {"minItems": 1}),
        ({"outputs": {"indices": [-1]}}, "settings.outputs.indices.0", {"minimum": 0}),
        ({"outputs": {"indices": [1, 1]}}, "settings.outputs", ["indices", "labels", "top"]),
        ({"outputs": {"bottom": 1}}, "settings.outputs.bottom", ["indices", "labels", "top"]),
        (
            {"superpixels": {"kind": "hexagons"}},
            "settings.superpixels",
            KINDS,
        ),
        (
            {"superpixels": {}},
            "settings.superpixels",
            KINDS,
        ),
        (
            {"superpixels": 16},
            "settings.superpixels",
            KINDS,
        ),
        (
            {"superpixels": {"kind": "slic", "segments": 1}},
            "settings.superpixels.segments",
            {"minimum": 2, "maximum": 1000},
        ),
        (
            {"superpixels": {"kind": "grid", "segments": 9}},
            "settings.superpixels.segments",
            ["columns", "kind", "rows"],
        ),
        (
            {"superpixels": {"kind": "grid", "rows": 9}},
            "settings.superpixels.rows",
            {"minimum": 1, "maximum": 8},
        ),
        (
            {"superpixels": {"kind": "grid", "columns": 13}},
            "settings.superpixels.columns",
            {"minimum": 1, "maximum": 12},
        ),
        ({"metrics": ["deletion", "deletion"]}, "settings.metrics", {"type": "array"}),
        ({"target_standard_error": 0}, "settings.target_standard_error", {"exclusiveMinimum": 0}),
        ({"metadata": []}, "settings.metadata", {"type": "object"}),
        ({"metadata": {"a": "x" * 20_000}}, "settings.metadata", {"type": "object"}),
    ],
)
async def test_an_invalid_setting_is_named_with_the_accepted_values(
    ask, refused, wrong, field, accepted
):
    problem = refused(await ask(**wrong), 422, "invalid_settings")
    assert problem["field"] == field
    assert problem["received"] is not None
    if isinstance(accepted, dict):
        assert accepted.items() <= problem["accepted"].items()
    else:
        assert problem["accepted"] == accepted


async def test_an_unknown_setting_is_refused_with_the_known_names(ask, refused):
    problem = refused(await ask(max_eval=3), 422, "invalid_settings")
    assert (problem["field"], problem["received"]) == ("settings.max_eval", "max_eval")
    assert "did you mean max_evals?" in problem["detail"]
    assert {"model", "masker", "max_evals"} <= set(problem["accepted"])


async def test_all_fields_that_are_wrong_are_named(ask, refused):
    superpixels = {"kind": "slic", "segments": 0}
    answer = await ask(seed=-1, max_evals=0, superpixels=superpixels)
    problem = refused(answer, 422, "invalid_settings")
    assert problem["field"] == "settings.superpixels.segments"
    assert "also invalid: settings.max_evals, settings.seed" in problem["detail"]


async def test_long_received_values_are_shortened(ask, refused):
    problem = refused(await ask(masker="x" * 5000), 422, "invalid_settings")
    assert len(problem["received"]) < 300
    assert len(problem["detail"]) < 500


@pytest.mark.parametrize("masker", ["mean", "blur(16, 16)", "constant(127.5)", "constant(0,0,255)"])
async def test_every_form_of_masker_is_accepted(ask, masker):
    answer = await ask(masker=masker)
    assert answer.json()["settings"]["masker"] == masker


async def test_a_model_of_four_channels_is_not_inpainted(ask, fake_worker, new_card, refused):
    fake_worker.announce(new_card(input_shape=(8, 8, 4)))
    assert "mean" in refused(await ask(), 422, "invalid_settings")["accepted"]
    assert (await ask(masker="constant(1,2,3,4)")).status_code == 202


async def test_a_named_model_is_used_and_recorded_with_its_fingerprint(ask, fake_worker, new_card):
    other = PARTS.model_copy(update={"fit": "stretch"})
    fake_worker.announce(
        new_card(),
        new_card(name="other", default=False, parts=other, fit="stretch"),
    )
    document = (await ask(model="other")).json()
    assert document["model"] == {
        "name": "other",
        "fingerprint": fingerprint_of(other),
        "parts": other.model_dump(mode="json"),
    }
    assert (await ask()).json()["model"]["name"] == "tiny"


async def test_a_model_may_be_pinned_by_its_fingerprint(
    ask, fake_worker, new_card, refused, connection
):
    pinned = {"name": "tiny", "fingerprint": MODEL.fingerprint}
    document = (await ask(model=pinned)).json()
    assert document["model"]["fingerprint"] == MODEL.fingerprint
    assert document["settings"]["model"] == "tiny"
    fake_worker.announce(new_card(parts=OTHER))
    problem = refused(await ask(model=pinned), 409, "model_changed")
    assert problem["field"] == "settings.model.fingerprint"
    assert (problem["received"], problem["accepted"]) == (MODEL.fingerprint, fingerprint_of(OTHER))
    assert connection.llen("rq:queue:test") == 1


async def test_the_fit_that_a_request_chooses_is_part_of_the_fingerprint(ask, fake_worker, refused):
    chosen = model_ref("tiny", PARTS, "stretch")
    document = (await ask(fit="stretch")).json()
    assert document["model"] == chosen.model_dump(mode="json")
    for pinned in (chosen.fingerprint, MODEL.fingerprint):  # of the document, and of the card
        again = await ask(fit="stretch", model={"name": "tiny", "fingerprint": pinned})
        assert again.json()["model"]["fingerprint"] == chosen.fingerprint
    refused(
        await ask(model={"name": "tiny", "fingerprint": chosen.fingerprint}), 409, "model_changed"
    )


@pytest.mark.parametrize(
    ("wrong", "field", "accepted"),
    [
        ({"name": "tiny"}, "settings.model.fingerprint", None),
        ({"name": "tiny", "fingerprint": "ab" * 32}, "settings.model.fingerprint", None),
        ({"fingerprint": MODEL.fingerprint}, "settings.model.name", None),
        (
            {"name": "tiny", "fingerprint": MODEL.fingerprint, "digest": 1},
            "settings.model.digest",
            ["fingerprint", "name"],
        ),
        (5, "settings.model", [{"type": "string", "maxLength": 200}, "an object"]),
        ("x" * 201, "settings.model", [{"type": "string", "maxLength": 200}, "an object"]),
    ],
)
async def test_an_invalid_pin_is_refused_with_its_error(ask, refused, wrong, field, accepted):
    problem = refused(await ask(model=wrong), 422, "invalid_settings")
    assert problem["field"] == field
    assert accepted is None or problem["accepted"] == accepted


async def test_a_pin_is_compared_with_the_last_card_of_an_unserved_model(
    ask, fake_worker, new_card, refused
):
    fake_worker.succeed((await ask()).json()["id"])
    fake_worker.announce(new_card(), lease_s=-1)
    assert (await ask(model={"name": "tiny", "fingerprint": MODEL.fingerprint})).status_code == 200
    refused(
        await ask(model={"name": "tiny", "fingerprint": fingerprint_of(OTHER)}),
        409,
        "model_changed",
    )


async def test_the_document_names_the_model_that_computed_the_result(ask, served, fake_worker):
    """Here the fake worker's model, whatever was announced when the request was accepted."""
    fake_worker.announce(card(parts=None))
    queued = (await ask()).json()
    assert queued["model"] == {"name": "tiny", "fingerprint": None, "parts": None}
    fake_worker.succeed(queued["id"])
    done = (await served.get(f"{URL}/{queued['id']}")).json()
    assert done["model"] == MODEL.model_dump(mode="json")


async def test_an_unknown_model_is_refused_with_the_known_names(ask, refused):
    problem = refused(await ask(model="resnet5000"), 422, "unknown_model")
    assert (problem["received"], problem["accepted"]) == ("resnet5000", ["tiny"])


async def test_an_unavailable_model_is_refused_with_its_reason(ask, fake_worker, new_card, refused):
    fake_worker.announce(new_card(status="unavailable", reason="its weights are gone"))
    answer = await ask()
    problem = refused(answer, 503, "model_unavailable")
    assert "its weights are gone" in problem["detail"]
    assert "retry-after" not in answer.headers


async def test_requests_wait_for_a_model_that_is_reloading(ask, fake_worker, new_card, served):
    """Its earlier card tells its labels, size and fingerprint."""
    before = (await served.get("/v1/models/tiny")).json()
    fake_worker.announce(blank(new_card))
    assert (await served.get("/v1/models/tiny")).json()["status"] == "loading"
    answer = await ask(outputs={"labels": [before["labels"][1]]})
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    assert answer.json()["model"]["fingerprint"] == before["fingerprint"]
    fake_worker.announce(new_card())
    fake_worker.succeed(answer.json()["id"])


@pytest.mark.parametrize(
    "known",
    [{"preprocessing": "tf: (x - 127.5) / 127.5"}, {"fit": "stretch"}, {"input_shape": (5, 5, 1)}],
)
async def test_requests_do_not_wait_for_a_model_that_has_changed(
    ask, fake_worker, new_card, served, refused, known
):
    fake_worker.announce(blank(new_card, **known))
    answer = await ask()
    assert "it is loading" in refused(answer, 503, "model_unavailable")["detail"]
    assert "retry-after" in answer.headers


async def test_requests_do_not_wait_for_a_model_that_was_never_loaded(
    api, fake_worker, new_card, refused, photo
):
    fake_worker.announce(blank(new_card))
    answer = await api.post(URL, files={"image": ("p", photo)})
    assert "it is loading" in refused(answer, 503, "model_unavailable")["detail"]
    assert "retry-after" in answer.headers


def blank(new_card, **known):
    """The card of a model that a worker knows only from the models file."""
    return new_card(
        status="loading",
        fingerprint=None,
        parts=None,
        labels=None,
        output_count=None,
        **{"input_shape": None} | known,
    )


async def test_a_model_that_no_live_worker_serves_is_unavailable(
    ask, fake_worker, new_card, refused, connection
):
    fake_worker.announce(new_card(name="gone", default=False), new_card())
    connection.hdel("shapshot:worker:hand", "gone")
    problem = refused(await ask(model="gone"), 503, "model_unavailable")
    assert "no live worker" in problem["detail"]


async def test_without_its_default_model_another_must_be_named(
    ask, fake_worker, new_card, refused, connection
):
    fake_worker.announce(new_card(), new_card(name="other", default=False))
    connection.hdel("shapshot:worker:hand", "tiny")
    problem = refused(await ask(), 503, "model_unavailable")
    assert "other" in problem["accepted"]
    assert (await ask(model="other")).status_code == 202


async def test_without_a_live_worker_nothing_is_accepted(
    api, fake_worker, new_card, refused, photo
):
    answer = await api.post(URL, files={"image": ("p", photo)})
    refused(answer, 503, "no_worker")
    fake_worker.announce(new_card(), lease_s=-1)
    answer = await api.post(URL, files={"image": ("p", photo)})
    refused(answer, 503, "no_worker")
    assert "retry-after" in answer.headers


async def test_the_fit_is_the_models_default_or_the_requested_one(ask, fake_worker, new_card):
    fake_worker.announce(new_card(fit="stretch"))
    assert (await ask()).json()["settings"]["fit"] == "stretch"
    assert (await ask(fit="pad")).json()["settings"]["fit"] == "pad"


async def test_a_fit_that_the_card_does_not_allow_is_refused_with_the_allowed_ones(
    ask, fake_worker, new_card, refused
):
    fake_worker.announce(new_card(fit="crop", fits=["crop", "pad"]))
    problem = refused(await ask(fit="stretch"), 422, "invalid_settings")
    assert problem["field"] == "settings.fit"
    assert (problem["received"], problem["accepted"]) == ("stretch", ["crop", "pad"])


@pytest.mark.parametrize(
    ("superpixels", "accepted"),
    [
        ({"kind": "grid", "rows": 3}, {"rows": {"maximum": 2}, "columns": {"maximum": 12}}),
        ({"kind": "slic", "segments": 25}, {"minimum": 2, "maximum": 24}),
    ],
)
async def test_more_regions_than_a_padded_photo_has_pixels_are_refused(
    ask, refused, new_photo, superpixels, accepted
):
    """A model of 12 x 8 shows a photo of 120 x 20 in 12 x 2 pixels."""
    wide = {"picture": new_photo(120, 20), "superpixels": superpixels}
    assert (await ask(**wide)).status_code == 202
    problem = refused(await ask(**wide, fit="pad"), 422, "invalid_settings")
    assert problem["accepted"] == accepted
    assert "12 x 2 pixels" in problem["detail"]


async def test_the_default_outputs_are_four_or_all_of_a_model_with_fewer(
    ask, fake_worker, new_card
):
    assert (await ask()).json()["settings"]["outputs"]["top"] == 4
    fake_worker.announce(new_card(output_count=2, labels=["yes", "no"]))
    assert (await ask()).json()["settings"]["outputs"]["top"] == 2


async def test_labels_become_indices(ask):
    document = (await ask(outputs={"labels": ["dog", "ant"]})).json()
    assert document["settings"]["outputs"] == {"top": None, "indices": [3, 0], "labels": None}


@pytest.mark.parametrize(
    ("outputs", "field", "accepted"),
    [
        ({"top": 6}, "top", {"minimum": 1, "maximum": 5}),
        ({"indices": [0, 5]}, "indices", {"minimum": 0, "maximum": 4}),
        ({"labels": ["cranes"]}, "labels", {"nearest": ["crane"]}),
        ({"labels": ["crane"]}, "labels", {"indices": [2, 4]}),
    ],
)
async def test_an_unknown_output_is_refused_with_the_known_ones(
    ask, refused, outputs, field, accepted
):
    problem = refused(await ask(outputs=outputs), 422, "unknown_output")
    assert problem["field"] == f"settings.outputs.{field}"
    assert problem["accepted"] == accepted


async def test_labels_of_a_model_without_labels_are_refused(ask, fake_worker, new_card, refused):
    fake_worker.announce(new_card(labels=None))
    problem = refused(await ask(outputs={"labels": ["ant"]}), 422, "unknown_output")
    assert problem["accepted"] == ["indices"]


async def test_a_full_queue_is_reported_and_leaves_nothing_behind(
    start, settings, fake_worker, new_card, refused, photo, tmp_path
):
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"max_queued": 1})) as api:
        assert (await api.post(URL, files={"image": ("p", photo)})).status_code == 202
        answer = await api.post(URL, files={"image": ("p", photo)})
    refused(answer, 503, "queue_full")
    assert "retry-after" in answer.headers
    assert (
        len([path for path in (tmp_path / "store" / "explanations").rglob("*") if path.is_file()])
        == 1
    )


async def test_retry_after_of_a_full_queue_follows_the_rate_of_ending_jobs(
    start, settings, fake_worker, new_card, photo, connection
):
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"max_queued": 1})) as api:
        await api.post(URL, files={"image": ("p", photo)})
        unknown = await api.post(URL, files={"image": ("p", photo)})
        now = time.time()
        connection.hset("shapshot:ended", mapping={"jobs": 2, "at": now, "since": now - 60})
        known = await api.post(URL, files={"image": ("p", photo)})
        connection.hset("shapshot:ended", mapping={"jobs": 1e-9, "at": now, "since": now - 60})
        stuck = await api.post(URL, files={"image": ("p", photo)})
    assert unknown.headers["retry-after"] == "10"
    assert 20 <= int(known.headers["retry-after"]) <= 30
    assert stuck.headers["retry-after"] == "600"


@pytest.mark.parametrize("asked", [None, "batch", "interactive"])
async def test_the_priority_is_echoed_and_interactive_by_default(ask, asked):
    answer = await ask(**({"priority": asked} if asked else {}))
    assert answer.json()["settings"]["priority"] == (asked or "interactive")


# Numbers held by an explanation: for each output 8 x 12 x 3 values, errors if known, and
# evaluations; and the matrices of some methods.
@pytest.mark.parametrize(
    ("asked", "numbers", "accepted"),
    [
        ({"outputs": {"top": 3}, "max_evals": 12}, 900, {"maximum": 2}),
        ({"outputs": {"indices": [0, 1, 2]}, "max_evals": 12}, 900, {"maxItems": 2}),
        ({"outputs": {"labels": ["ant", "bee", "dog"]}, "max_evals": 12}, 900, {"maxItems": 2}),
        (
            {
                "outputs": {"top": 2},
                "method": "kernel",
                "max_evals": 10,
                "superpixels": {"kind": "grid", "rows": 2, "columns": 4},
            },
            2 * (2 * 288 + 10) + 80,
            {"maximum": 1},
        ),
    ],
)
async def test_too_many_outputs_for_memory_are_refused_with_the_number_that_fits(
    start, ask, fake_worker, new_card, refused, settings, asked, numbers, accepted
):
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"max_values": numbers - 1})) as api:
        problem = refused(await ask(api=api, **asked), 422, "invalid_settings")
    [(name, given)] = asked["outputs"].items()
    assert problem["field"] == f"settings.outputs.{name}"
    assert problem["received"] == (given if name == "top" else len(given))
    assert problem["accepted"] == accepted
    async with start(settings.model_copy(update={"max_values": numbers})) as api:
        assert (await ask(api=api, **asked)).status_code == 202


async def test_a_method_too_large_for_memory_with_one_output_is_refused(
    start, ask, fake_worker, new_card, refused, settings
):
    fake_worker.announce(new_card())
    method = {"method": "gaussian_process", "max_evals": 60_000}
    async with start(settings) as api:
        problem = refused(await ask(api=api, **method), 422, "invalid_settings")
    assert problem["field"] == "settings.max_evals"
    assert "one output" in problem["detail"]
