"""Two models compared by the real worker: outputs, arrays, evidence, and what-if scores."""

from dataclasses import replace

import numpy as np
import pytest

from service.schemas.documents import ErrorCode
from service.schemas.requests import Outputs
from tests.worker.cell_games import TERMS, Case, additive, ended, saturating
from worker.engine.outputs import Pairing
from worker.models.scoring_models import ScoringModels

BACKWARDS = {"labels": ["c", "b", "a"]}


def reversed_saturating(seen):
    return saturating(seen)[:, ::-1]


PAIR = Case(
    additive,
    {"method": "kernel", "target_standard_error": None, "metrics": ["deletion"]}
    | {"outputs": Outputs(indices=[2, 0])},
    compared=reversed_saturating,
    compared_card=BACKWARDS,
)


def test_each_class_has_a_result_of_both_models_and_of_their_difference():
    ending, arrays = ended(PAIR)
    outcome = ending.outcome
    assert [output.label for output in outcome.outputs] == [
        *("c", "c (other)", "c (game minus other)"),
        *("a", "a (other)", "a (game minus other)"),
    ]
    assert [output.index for output in outcome.outputs] == [2, 5, 8, 0, 3, 6]
    assert [output.class_index for output in outcome.outputs] == [2, 2, 2, 0, 0, 0]
    assert [output.of for output in outcome.outputs[:3]] == ["model", "compared", "difference"]
    assert outcome.compared_classes == [0, 2]
    assert outcome.compared.name == "other"
    assert outcome.compared.fingerprint
    assert str(arrays["compared_fingerprint"]) == outcome.compared.fingerprint
    assert str(arrays["model_name"]) == "game"
    assert arrays["output_names"].tolist() == [output.label for output in outcome.outputs]
    additive_credit, saturated = TERMS[:, 2], np.tanh(TERMS.sum(axis=0))[2]
    assert arrays["region_values"][:, 0] == pytest.approx(additive_credit, abs=1e-5)
    assert outcome.outputs[1].score == pytest.approx(saturated, abs=1e-6)
    assert outcome.outputs[2].score == outcome.outputs[0].score - outcome.outputs[1].score
    assert {area.output for area in outcome.metrics} == {2, 5, 8, 0, 3, 6}
    assert outcome.top.of == "model"


def test_a_canceled_comparison_has_a_partial_result():
    case = Case(saturating, {"metrics": []}, cancel=True, compared=additive)
    ending, arrays = ended(case)
    assert ending.outcome.partial
    values = arrays["region_values"]
    assert values[:, 2] == pytest.approx(values[:, 0] - values[:, 1], abs=1e-9)


def probable(seen):
    return 1 / (1 + np.exp(-2 * (seen - 0.5) @ TERMS))


def half_as_probable(seen):
    return probable(seen) / 2


def test_differences_of_probabilities_are_explained_by_the_first_minus_the_second():
    """Also where all scores of both models lie in 0..1, and are modelled on the stretched scale."""

    def values(**settings):
        settings |= {"max_evals": 120, "target_standard_error": None, "metrics": []}
        return ended(Case(probable, settings, compared=half_as_probable))[1]["region_values"]

    auto, linear = values(score_scale="auto"), values(score_scale="linear")
    for found in (auto, linear):
        assert found[:, 2] == pytest.approx(found[:, 0] - found[:, 1], abs=1e-9)
    assert np.abs(auto - linear).max() > 1e-4


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"compared_card": {"labels": ["x", "y", "z"]}}, ErrorCode.INVALID_SETTINGS, "in common"),
        ({"compared_card": {"labels": ["a", "b", "x"]}}, ErrorCode.INVALID_SETTINGS, "no class"),
        (
            {"compared_card": {"input_shape": (24, 24, 1)}},
            ErrorCode.INVALID_SETTINGS,
            "takes 3 channels, the compared model 1",
        ),
    ],
)
def test_models_that_cannot_be_compared_are_refused(changed, code, said):
    ending, _ = ended(replace(PAIR, **changed))
    assert ending.error.code is code
    assert ending.error.field in ("settings.compare_with", "settings.outputs")
    assert said in ending.error.detail


def test_columns_tell_what_they_belong_to():
    models = ScoringModels((), (), None, [], Pairing(np.arange(4)))
    assert [models.describe(column) for column in (3, 4, 11)] == [
        ("model", 3),
        ("compared", 0),
        ("difference", 3),
    ]
