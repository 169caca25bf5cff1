"""The classes that two models have in common, by their labels, and the outputs of a comparison."""

from collections import Counter
from collections.abc import Sequence

OUTPUTS_OF_A_CLASS = 3  # of a comparison: of the model, of the compared one, and their difference


def match_classes(labels: Sequence[str], others: Sequence[str]) -> list[int | None]:
    """Return for each output of a model the output of another with the same label, or None.

    An output at the same place is taken first; elsewhere a label must occur once in both. Models
    without labels, whose outputs are called by their numbers, are matched by place, if they have
    as many outputs; else nothing tells which class is which.
    """
    if is_unlabelled(labels) or is_unlabelled(others):
        same = len(labels) == len(others)
        return [place if same else None for place in range(len(labels))]
    places = {label: place for place, label in enumerate(others)}
    counts, other_counts = Counter(labels), Counter(others)
    found: list[int | None] = []
    for place, label in enumerate(labels):
        if place < len(others) and others[place] == label:
            found.append(place)
        else:
            found.append(places[label] if counts[label] == other_counts[label] == 1 else None)
    return found


def is_unlabelled(labels: Sequence[str]) -> bool:
    """Return whether labels are only the numbers of the outputs."""
    return all(label == str(place) for place, label in enumerate(labels))


def column_labels(labels: Sequence[str], model: str, compared: str) -> list[str]:
    """Return a label for each output of a comparison: of `model`, of `compared`, differences."""
    return [
        *labels,
        *(f"{label} ({compared})" for label in labels),
        *(f"{label} ({model} minus {compared})" for label in labels),
    ]
