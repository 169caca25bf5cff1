"""Classes of two models are matched by their labels."""

import pytest

from service.schemas.classes import column_labels, match_classes


@pytest.mark.parametrize(
    ("labels", "others", "places"),
    [
        (["a", "b", "c"], ["a", "b", "c"], [0, 1, 2]),
        (["a", "b", "c"], ["c", "a", "b"], [1, 2, 0]),
        (["a", "b"], ["b", "x", "y"], [None, 0]),
        (["crane", "dog", "crane"], ["crane", "dog", "crane"], [0, 1, 2]),
        (["crane", "dog", "crane"], ["dog", "crane", "cat"], [None, 0, None]),
        (["crane", "dog"], ["dog", "crane", "crane"], [None, 0]),
        (["0", "1", "2"], ["0", "1", "2"], [0, 1, 2]),
        (["0", "1"], ["0", "1", "2"], [None, None]),
        (["a", "b"], ["0", "1"], [0, 1]),
        (["a", "b"], ["0", "1", "2"], [None, None]),
        (["0", "1", "2"], ["a", "b"], [None, None, None]),
    ],
)
def test_classes_are_matched_by_place_or_by_a_label_that_occurs_once(labels, others, places):
    assert match_classes(labels, others) == places


def test_labels_of_a_comparison_are_all_different():
    labels = column_labels(["a", "b"], "one", "two")
    assert labels == ["a", "b", "a (two)", "b (two)", "a (one minus two)", "b (one minus two)"]
