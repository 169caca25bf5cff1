"""Warnings of real explanations; a good one has none.

Each case differs from the good one in one setting.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from service.images.decoding import Picture
from service.images.formats.colour_space import P3, Colours
from service.schemas.models import PrecisionError
from service.schemas.requests import Grid, Outputs
from service.schemas.warnings import WarningCode
from tests.worker.cell_games import (
    Case,
    additive,
    alike,
    arbitrary,
    counting,
    even,
    explained,
    rough,
    saturating,
)
from worker.adapters import warnings

DOCUMENTED = (Path(__file__).parents[3] / "docs" / "warnings.md").read_text()


OFF = PrecisionError(largest=0.013, median=0.002, pictures=8)
FEW = {"rows": 2, "columns": 3}  # cells, each a sixth of the picture
OF_KERNEL = {"method": "kernel", "target_standard_error": None}
CASES = {
    WarningCode.PARTIAL: Case(cancel=True),
    WarningCode.NO_STANDARD_ERRORS: Case(
        settings={"method": "partition", "max_evals": 100, "target_standard_error": None}
    ),
    WarningCode.NO_INTERVAL: Case(settings={"max_evals": 16}),
    WarningCode.FEW_EVALUATIONS: Case(settings=OF_KERNEL | {"max_evals": 100}),
    WarningCode.COARSE_REGIONS: Case(
        settings={"method": "partition", "max_evals": 20, "target_standard_error": None}
    ),
    WarningCode.LOW_HELD_OUT_FIDELITY: Case(rough, {"target_standard_error": 100}),
    WarningCode.LARGE_EVEN_ENERGY: Case(even, {"metrics": []}),
    WarningCode.TARGET_NOT_REACHED: Case(
        saturating, {"max_evals": 60, "target_standard_error": 1e-6, "outputs": Outputs(top=1)}
    ),
    WarningCode.DRAFT_PRECISION: Case(card={"dtype": "bfloat16", "precision_error": OFF}),
    WarningCode.COMPARED_RESIZED: Case(
        compared=saturating, compared_card={"input_shape": (48, 48, 3)}
    ),
    WarningCode.PICTURE_CROPPED: Case(size=(200, 60)),
    WarningCode.OTHER_COLOURS: Case(mode="CMYK", white=(0, 0, 0, 0)),
    WarningCode.FEW_LEVELS: Case(mode="I;16", white=4095),
    WarningCode.TIES: Case(settings={"superpixels": Grid(kind="grid", **FEW)}),
    WarningCode.NOT_BETTER_THAN_RANDOM: Case(
        arbitrary,
        {"method": "exact", "superpixels": Grid(kind="grid", **FEW), "max_evals": 64}
        | {"target_standard_error": None},
    ),
}
ELSEWHERE = {WarningCode.NAN_HIDDEN}  # raised by a check when a model is loaded


def test_a_good_explanation_has_no_warning():
    outcome = explained(Case())
    assert outcome.warnings == []
    assert outcome.target_reached is True


def test_every_warning_has_a_case():
    assert {*CASES, *ELSEWHERE} == set(WarningCode)


@pytest.mark.parametrize("code", CASES)
def test_every_warning_has_its_figure(code):
    outcome = explained(CASES[code])
    found = [warning for warning in outcome.warnings if warning.code is code]
    assert found, outcome.warnings
    for warning in found:
        assert warning.detail[0].islower() or warning.detail[0].isdigit()
        if warning.output is not None:
            assert warning.output in [output.index for output in outcome.outputs]
        if warning.value is not None and warning.limit is not None:
            assert warning.value != warning.limit


def only(code, outcome):
    """Return the only warning, and check that it has this code."""
    [warning] = outcome.warnings
    assert warning.code is code
    return warning


def test_a_partial_result_says_how_far_it_came():
    warning = explained(CASES[WarningCode.PARTIAL]).warnings[0]
    assert warning.code is WarningCode.PARTIAL
    assert 2 < warning.value < warning.limit
    assert f"after {warning.value:.0f} of {warning.limit:.0f} evaluations" in warning.detail


def test_a_draft_warns_of_its_deviation():
    warning = only(WarningCode.DRAFT_PRECISION, explained(CASES[WarningCode.DRAFT_PRECISION]))
    assert warning.value == OFF.largest
    assert "bfloat16" in warning.detail
    assert "0.013" in warning.detail


def test_a_compared_model_that_sees_less_or_other_shapes_than_alone_has_a_warning():
    enlarged = only(WarningCode.COMPARED_RESIZED, explained(CASES[WarningCode.COMPARED_RESIZED]))
    assert enlarged.value == 2
    assert "other takes 48 x 48 pixels and saw the 24 x 24 of game enlarged" in enlarged.detail
    wide = only(
        WarningCode.COMPARED_RESIZED,
        explained(Case(compared=saturating, compared_card={"input_shape": (12, 24, 3)})),
    )
    assert "in another aspect ratio" in wide.detail
    smaller = explained(Case(compared=saturating, compared_card={"input_shape": (12, 12, 3)}))
    assert smaller.warnings == []


def test_warnings_of_a_comparison_name_the_side():
    outcome = explained(Case(additive, {"metrics": []}, compared=even))
    of = {output.index: output.of for output in outcome.outputs}
    found = [each for each in outcome.warnings if each.code is WarningCode.LARGE_EVEN_ENERGY]
    assert "compared" in {of[each.output] for each in found}
    assert "model" not in {of[each.output] for each in found}
    assert any("of a (other) is the same" in each.detail for each in found)


@pytest.mark.parametrize("size", [(200, 60), (60, 200)])
def test_a_picture_that_is_much_cropped_has_a_warning_with_the_share(size):
    warning = only(WarningCode.PICTURE_CROPPED, explained(Case(size=size)))
    assert warning.value == pytest.approx(0.7)
    assert "70 %" in warning.detail


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_a_picture_that_is_hardly_cropped_has_no_warning(fit):
    size = (90, 60) if fit == "crop" else (200, 60)
    codes = [w.code for w in explained(Case(settings={"fit": fit}, size=size)).warnings]
    assert WarningCode.PICTURE_CROPPED not in codes


def test_a_missed_target_is_in_the_document_too():
    outcome = explained(CASES[WarningCode.TARGET_NOT_REACHED])
    warning = next(w for w in outcome.warnings if w.code is WarningCode.TARGET_NOT_REACHED)
    assert outcome.target_reached is False
    assert warning.limit == 1e-6 < warning.value


def test_without_a_target_none_is_reached_or_missed():
    assert explained(Case(settings={"target_standard_error": None})).target_reached is None


def test_a_tie_of_the_top_outputs_has_a_warning():
    def tied(wanted):
        outcome = explained(Case(alike, {"outputs": wanted, "metrics": []}))
        return [warning.code for warning in outcome.warnings]

    assert tied(Outputs(top=1)) == [WarningCode.TIES]
    assert tied(Outputs(top=3)) == tied(Outputs(indices=[0])) == []


def test_a_choice_of_partition_by_the_seed_has_a_warning():
    def codes(score):
        settings = {"method": "partition", "max_evals": 20, "batch_size": 2, "metrics": []}
        outcome = explained(Case(score, settings | {"target_standard_error": None}))
        return {warning.code for warning in outcome.warnings}

    assert WarningCode.TIES in codes(counting)
    assert WarningCode.TIES not in codes(additive)


def test_a_curve_worse_than_random_has_a_warning_with_both_areas():
    outcome = explained(CASES[WarningCode.NOT_BETTER_THAN_RANDOM])
    code = WarningCode.NOT_BETTER_THAN_RANDOM
    for warning in (warning for warning in outcome.warnings if warning.code is code):
        figures = warning.value, warning.limit
        [area] = [a for a in outcome.metrics if (a.area, a.baseline_area) == figures]
        assert area.output == warning.output
        assert area.metric in warning.detail
        rises = area.metric in ("insertion", "keep_positive")
        assert (area.area <= area.baseline_area) if rises else (area.area >= area.baseline_area)


def test_kernel_with_few_evaluations_warns_with_the_number_that_suffices():
    few = explained(CASES[WarningCode.FEW_EVALUATIONS])
    warning = only(WarningCode.FEW_EVALUATIONS, few)
    assert (warning.value, warning.limit) == (100, 2 + 8 * 23)
    assert "shrunk" in warning.detail
    shaps = explained(Case(settings=OF_KERNEL | {"max_evals": 60, "regularization": "none"}))
    [warning] = [w for w in shaps.warnings if w.code is WarningCode.FEW_EVALUATIONS]
    assert "too large" in warning.detail
    assert explained(Case(settings=OF_KERNEL | {"max_evals": 186})).warnings == []


def test_a_fully_divided_partition_has_no_warning_of_missing_errors():
    settings = {"method": "partition", "max_evals": 20_000, "target_standard_error": None}
    small = Grid(kind="grid", rows=2, columns=3)
    outcome = explained(Case(settings=settings | {"superpixels": small, "metrics": []}))
    assert outcome.warnings == []


def test_the_documentation_has_every_code_and_its_limit():
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", DOCUMENTED, re.MULTILINE))
    assert set(rows) == {code.value for code in WarningCode}
    limits = {
        WarningCode.COARSE_REGIONS: warnings.MAX_UNRESOLVED,
        WarningCode.LOW_HELD_OUT_FIDELITY: warnings.MIN_FIDELITY,
        WarningCode.LARGE_EVEN_ENERGY: warnings.MAX_EVEN_ENERGY,
        WarningCode.PICTURE_CROPPED: warnings.MAX_OUTSIDE,
        WarningCode.TIES: warnings.MAX_TIED,
    }
    for code, limit in limits.items():
        assert f"| {100 * limit:.0f} % |" in rows[code]


@pytest.mark.parametrize(("colour", "told"), [((200, 60, 40), True), ((120, 120, 120), False)])
def test_another_colour_space_has_a_warning_if_it_moves_levels(colour, told):
    pixels = np.full((40, 60, 3), colour, np.uint8)
    space = Colours("Display P3", (lambda x: x**2.2,) * 3, P3)
    found = list(warnings.picture_warnings(Picture(pixels, "PNG", space, deep=False)))
    assert [warning.code for warning in found] == [WarningCode.OTHER_COLOURS] * told
    for warning in found:
        assert warning.limit == 3 < warning.value == space.shift(pixels)
        assert "Display P3" in warning.detail


@pytest.mark.parametrize(("brightest", "deep"), [(63, False), (64, True)])
def test_a_dark_picture_has_a_warning_only_if_its_format_allows_brighter_levels(brightest, deep):
    pixels = np.full((4, 6, 3), brightest, np.uint8)
    assert list(warnings.picture_warnings(Picture(pixels, "PNG", None, deep=deep))) == []


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        (CASES[WarningCode.NO_STANDARD_ERRORS].settings, "kernel and gaussian_process do"),
        (
            {"method": "permutation", "max_evals": 49, "target_standard_error": None},
            "permutation needs more evaluations (max_evals)",
        ),
    ],
)
def test_the_warning_of_missing_errors_says_how_to_get_them(settings, advice):
    found = explained(Case(settings=settings)).warnings
    [warning] = [each for each in found if each.code is WarningCode.NO_STANDARD_ERRORS]
    assert advice in warning.detail
