"""What a report says in words about methods, values and curves."""

from collections.abc import Mapping

from service.schemas.keeping import Verdict
from service.schemas.requests import Method, Metric

SAYS = (
    "A positive value raised the score of this output, compared with the picture in which "
    "everything is hidden; a negative value lowered it. All values together are the difference "
    "between the two scores, up to the gap that is told."
)
SAYS_NOT = (
    "It is about this model and this picture, and about hiding parts in this way: another way of "
    "hiding gives other values. A region that counts need not be the cause that a person would "
    "name, and the explanation does not tell whether the prediction is right."
)
VERDICTS: Mapping[Verdict, str] = {
    Verdict.ACCEPT: "Accepted",
    Verdict.REJECT: "Rejected",
    Verdict.OVERRIDE: "Overridden",
}
LIMITS: Mapping[Method, str] = {
    "partition": "Neighbouring parts are in or out together as a fixed tree groups them, so they "
    "share credit as it does. The method tells no error of its values.",
    "permutation": "The values are means over random orders; the intervals tell how far other "
    "orders could move them.",
    "kernel": "The values are a regression on random coalitions; the intervals tell how far other "
    "coalitions could move them.",
    "exact": "Every coalition was scored, so the values are exact; what remains is the model's "
    "own rounding.",
    "gaussian_process": "The values are estimated by a model of how scores depend on coalitions; "
    "the intervals hold as far as that model does.",
}
BETTER_HIGH: Mapping[Metric, bool | None] = {  # None: absolute orders, which have no better side
    "keep_positive": True,
    "keep_negative": False,
    "keep_absolute": None,
    "remove_positive": False,
    "remove_negative": True,
    "remove_absolute": None,
    "deletion": False,
    "insertion": True,
}


def verdict(metric: Metric, area: float, random_area: float) -> str:
    """Says whether a curve is better than that of a random order."""
    higher = BETTER_HIGH[metric]
    if higher is None:
        return "neither side is better for this order"
    if area == random_area:
        return "as a random order"
    return "better than random" if (area > random_area) == higher else "not better than random"
