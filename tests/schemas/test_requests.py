"""Settings that are valid or not for any model."""

import pytest
from pydantic import ValidationError

from service.schemas.requests import MAX_SUPERPIXELS, ExplanationSettings, ResolvedSettings


def read(**settings):
    return ExplanationSettings.model_validate(settings, strict=True)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"kind": "pixels"}, {"kind": "pixels", "channels": "apart"}),
        ({"kind": "grid"}, {"kind": "grid", "rows": 4, "columns": 4}),
        (
            {"kind": "slic", "compactness": 10},
            {"kind": "slic", "segments": 50, "compactness": 10.0, "sigma": 3.0},
        ),
        ({"kind": "labels"}, {"kind": "labels"}),
    ],
)
def test_each_kind_of_superpixels_has_its_defaults(said, meant):
    assert read(superpixels=said).model_dump()["superpixels"] == meant


@pytest.mark.parametrize(
    "wrong",
    [
        {"superpixels": {"kind": "grid", "rows": 0}},
        {"superpixels": {"kind": "grid", "rows": 225}},
        {"superpixels": {"kind": "grid", "rows": 100, "columns": MAX_SUPERPIXELS // 100 + 1}},
        {"superpixels": {"kind": "grid", "segments": 3}},
        {"superpixels": {"kind": "slic", "segments": 1}},
        {"superpixels": {"kind": "slic", "segments": MAX_SUPERPIXELS + 1}},
        {"superpixels": {"kind": "slic", "compactness": 0}},
        {"superpixels": {"kind": "slic", "sigma": -1}},
        {"superpixels": {"kind": "slic", "sigma": float("inf")}},
        {"superpixels": {"kind": "voronoi"}},
        {"superpixels": {}},
        {"superpixels": "slic"},
        {"metrics": ["keep"]},
        {"metrics": ["deletion", "deletion"]},
        {"target_standard_error": 0},
        {"target_standard_error": float("nan")},
        {"method": "magic"},
        {"score_scale": "logit"},
    ],
)
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValidationError):
        read(**wrong)


def test_settings_survive_json():
    settings = read(
        method="gaussian_process",
        superpixels={"kind": "slic", "segments": 20},
        target_standard_error=0.01,
        metrics=["insertion", "keep_positive"],
    )
    assert ExplanationSettings.model_validate_json(settings.model_dump_json()) == settings


def test_stored_settings_without_sampling_prior_or_scale_are_of_versions_without_them():
    stored = {
        "model": "tiny",
        "method": "gaussian_process",
        "fit": "crop",
        "superpixels": {"kind": "grid"},
        "outputs": {"top": 1},
        "max_evals": 100,
    }
    resolved = ResolvedSettings.model_validate(stored)
    assert (resolved.sampling, resolved.prior) == ("random", "uniform")
    assert (read().sampling, read().prior) == ("adaptive", "picture")
    assert (resolved.score_scale, read().score_scale) == ("linear", "auto")
    assert resolved.interactions == 1
    assert resolved.solution_concept is None
