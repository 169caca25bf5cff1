"""The settings that each method takes, and its defaults; the model's input is 8 x 12 x 3."""

from typing import get_args

import numpy as np
import pytest

from service.schemas.requests import ExplanationSettings, Method, ResolvedSettings
from tests.encoded import npy

METHODS = get_args(Method)
PIXELS = {"kind": "pixels", "channels": "apart"}
TOGETHER = {"kind": "pixels", "channels": "together"}
SLIC = {"kind": "slic", "segments": 50, "compactness": 30.0, "sigma": 3.0}


async def test_every_method_has_a_card_with_the_settings_it_takes(api):
    cards = (await api.get("/v1/methods")).json()["items"]
    assert [card["name"] for card in cards] == list(METHODS)
    of_process = {"interactions", "prior", "sampling", "score_scale", "solution_concept"}
    of_process |= {"target_standard_error"}
    own = {"batch_size", "fixed_context", "regularization", *of_process}
    for card in cards:
        schema = card["settings_schema"]
        fields = schema["properties"]
        assert fields["method"]["const"] == fields["method"]["default"] == card["name"]
        assert schema["additionalProperties"] is False
        assert set(ExplanationSettings.model_fields) - set(fields) <= own
        assert card["title"]
        assert card["reference"]
        assert "values" in card["solution_concept"]
    taken = {card["name"]: own & set(card["settings_schema"]["properties"]) for card in cards}
    assert taken["partition"] == {"batch_size", "fixed_context"}
    assert taken["gaussian_process"] == of_process
    assert taken["kernel"] == {"regularization"}
    assert not taken["permutation"] | taken["exact"]


@pytest.mark.parametrize(
    ("method", "superpixels", "max_evals"),
    [
        ("partition", PIXELS, 500),
        ("permutation", PIXELS, 5770),  # 10 (2 x 288 + 1)
        ("kernel", SLIC, 1000),
        ("exact", SLIC | {"segments": 10}, 65_536),
        ("gaussian_process", SLIC, 500),
    ],
)
async def test_a_method_alone_gets_default_players_and_evaluations(
    ask, served, method, superpixels, max_evals
):
    settings = (await ask(method=method)).json()["settings"]
    assert (settings["superpixels"], settings["max_evals"]) == (superpixels, max_evals)
    cards = (await served.get("/v1/methods")).json()["items"]
    [schema] = [card["settings_schema"] for card in cards if card["name"] == method]
    assert schema["properties"]["superpixels"]["default"] == superpixels
    assert schema["properties"]["max_evals"]["default"] in (max_evals, None)


@pytest.mark.parametrize("method", METHODS)
async def test_echoed_settings_can_be_sent_again(ask, method):
    settings = (await ask(method=method)).json()["settings"]
    again = await ask(**settings)
    assert again.status_code == 202, again.text
    assert again.json()["settings"] == settings


@pytest.mark.parametrize("method", METHODS)
async def test_settings_of_a_version_without_some_of_them_can_be_sent_again(ask, method):
    settings = (await ask(method=method)).json()["settings"]
    for name in ("sampling", "prior", "score_scale"):
        del settings[name]
    stored = ResolvedSettings.model_validate(settings).model_dump(mode="json")
    again = await ask(**stored)
    assert again.status_code == 202, again.text
    assert again.json()["settings"] == stored


@pytest.mark.parametrize(
    ("superpixels", "max_evals"),
    [
        (TOGETHER, 1930),  # 10 (2 x 96 + 1)
        ({"kind": "grid", "rows": 2, "columns": 3}, 500),
        ({"kind": "slic", "segments": 40}, 810),
    ],
)
async def test_permutation_gets_ten_orders_of_its_players(ask, superpixels, max_evals):
    document = (await ask(method="permutation", superpixels=superpixels)).json()
    assert document["settings"]["max_evals"] == max_evals


@pytest.mark.parametrize(("limit", "max_evals"), [(5769, 5193), (1153, 577), (577, 577)])
async def test_permutation_gets_as_many_whole_orders_as_the_server_allows(
    start, ask, fake_worker, new_card, settings, limit, max_evals
):
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"max_evals": limit})) as api:
        document = (await ask(api=api, method="permutation")).json()
    assert document["settings"]["max_evals"] == max_evals


async def test_if_no_order_is_allowed_the_problem_names_the_minimum_and_a_remedy(
    ask, fake_worker, new_card, refused
):
    fake_worker.announce(new_card(input_shape=(224, 224, 3)))
    problem = refused(await ask(method="permutation"), 422, "invalid_settings")
    assert (problem["field"], problem["received"]) == ("settings.max_evals", None)
    assert problem["accepted"]["minimum"] == 301_057
    assert problem["accepted"]["maximum"] == 100_000
    assert "superpixels" in problem["detail"]
    assert (await ask(method="permutation", superpixels=SLIC)).status_code == 202


@pytest.mark.parametrize(
    ("method", "superpixels", "minimum"),
    [
        ("permutation", PIXELS, 577),
        ("permutation", TOGETHER, 193),
        ("permutation", {"kind": "grid", "rows": 4, "columns": 4}, 33),
        ("exact", {"kind": "grid", "rows": 3, "columns": 4}, 4096),
    ],
)
async def test_too_few_evaluations_are_refused_with_the_fewest(
    ask, refused, method, superpixels, minimum
):
    answer = await ask(method=method, superpixels=superpixels, max_evals=minimum - 1)
    problem = refused(answer, 422, "invalid_settings")
    assert (problem["field"], problem["received"]) == ("settings.max_evals", minimum - 1)
    assert problem["accepted"]["minimum"] == minimum
    assert problem["accepted"]["superpixels"] == ["grid", "slic", "labels"]
    answer = await ask(method=method, superpixels=superpixels, max_evals=minimum)
    assert answer.status_code == 202


async def test_slic_is_checked_by_its_requested_segments_and_a_scaled_label_map_not_at_all(
    ask, refused
):
    """SLIC gives about as many regions as requested; a map may lose some when it is scaled."""
    few = await ask(method="exact", superpixels=SLIC | {"segments": 17}, max_evals=100)
    assert refused(few, 422, "invalid_settings")["accepted"]["players"] == {"maximum": 16}
    few = await ask(method="exact", superpixels=SLIC | {"segments": 7}, max_evals=100)
    assert refused(few, 422, "invalid_settings")["accepted"]["minimum"] == 128
    asked = {"method": "exact", "superpixels": {"kind": "labels"}}
    of_photo = npy(np.arange(40 * 60, dtype=np.int32).reshape(40, 60) // 120)  # 20, as a photo has
    assert (await ask(label_map=of_photo, **asked)).status_code == 202


async def test_an_unscaled_label_map_has_as_many_players_as_regions(ask, refused):
    asked = {"method": "exact", "superpixels": {"kind": "labels"}}
    regions = npy(np.arange(8 * 12, dtype=np.uint8).reshape(8, 12) // 5)  # 20
    problem = refused(await ask(label_map=regions, **asked), 422, "invalid_settings")
    assert (problem["received"], problem["accepted"]["players"]) == (20, {"maximum": 16})
    padded = await ask(label_map=regions, fit="pad", **asked)
    assert padded.status_code == 202  # the padding may have any number of regions


@pytest.mark.parametrize(
    ("method", "superpixels", "most"),
    [
        ("exact", PIXELS, 16),
        ("exact", {"kind": "grid", "rows": 1, "columns": 17}, 16),
        ("kernel", PIXELS, 4096),
        ("gaussian_process", TOGETHER, 1024),
    ],
)
async def test_too_many_players_are_refused_with_the_maximum(
    ask, fake_worker, new_card, refused, method, superpixels, most
):
    fake_worker.announce(new_card(input_shape=(40, 40, 3)))
    problem = refused(await ask(method=method, superpixels=superpixels), 422, "invalid_settings")
    assert problem["field"] == "settings.superpixels"
    assert problem["accepted"]["players"] == {"maximum": most}
    assert f"at most {most} players" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "setting", "value"),
    [
        ("permutation", "batch_size", 10),
        ("kernel", "fixed_context", 1),
        ("exact", "target_standard_error", 0.1),
        ("partition", "target_standard_error", 0.1),
        ("gaussian_process", "batch_size", 51),
        ("kernel", "solution_concept", "owen"),
        ("partition", "solution_concept", "shapley"),
    ],
)
async def test_a_setting_the_method_does_not_take_is_refused(ask, refused, method, setting, value):
    problem = refused(await ask(method=method, **{setting: value}), 422, "invalid_settings")
    assert (problem["field"], problem["received"]) == (f"settings.{setting}", value)
    assert problem["accepted"] == [ExplanationSettings.model_fields[setting].default]
    assert method in problem["detail"]


async def test_a_method_accepts_its_own_settings(ask):
    process = await ask(method="gaussian_process", target_standard_error=0.01)
    owen = await ask(method="gaussian_process", solution_concept="owen")
    linear = await ask(method="gaussian_process", score_scale="linear")
    partition = await ask(method="partition", batch_size=10, fixed_context=1)
    assert process.json()["settings"]["target_standard_error"] == 0.01
    assert owen.json()["settings"]["solution_concept"] == "owen"
    assert linear.json()["settings"]["score_scale"] == "linear"
    assert partition.json()["settings"]["batch_size"] == 10


async def test_more_evaluations_than_the_server_allows_are_refused(ask, refused):
    answer = await ask(method="kernel", max_evals=100_001)
    problem = refused(answer, 422, "invalid_settings")
    assert problem["accepted"] == {"minimum": 2, "maximum": 100_000}


async def test_interactions_of_owen_values_are_refused(ask, refused):
    asked = {"method": "gaussian_process", "interactions": 2}
    answer = await ask(**asked, solution_concept="owen")
    problem = refused(answer, 422, "invalid_settings")
    assert (problem["field"], problem["received"]) == ("settings.interactions", 2)
    assert problem["accepted"] == [1]
    assert (await ask(**asked, solution_concept="shapley")).status_code == 202
