"""What a report says about the difference of two models."""

from collections.abc import Sequence
from typing import Any

from service.schemas.regions import Credit, Region
from service.schemas.results import Outcome

DIFFERENCE = 2  # position of the first class's difference among the outputs


def excludes_zero(credit: Credit) -> bool:
    """Returns whether a 95 % interval is known, and on one side of 0."""
    return credit.low is not None and credit.high is not None and credit.low * credit.high > 0


def told_difference(
    outcome: Outcome, regions: Sequence[Region], credits: Sequence[Credit]
) -> dict[str, Any] | None:
    """Returns what the page says of a comparison; None where no models are compared.

    credits: of each region to the difference.
    """
    if outcome.compared is None:
        return None
    one, other = outcome.model.name, outcome.compared.name
    first, second, difference = outcome.outputs[: DIFFERENCE + 1]
    said = (
        f"Both models were asked about the same masked pictures. {one} gives {first.label} the "
        f"score {first.score:.4g}, {other} {second.score:.4g}: a difference of "
        f"{difference.score:.4g}, and of {difference.base_value:.4g} with everything hidden."
    )
    apart = [
        region.region
        for region, credit in zip(regions, credits, strict=True)
        if excludes_zero(credit)
    ]
    if not regions:
        sure = "There are too many regions for a table."
    elif all(credit.low is None for credit in credits):
        sure = (
            "No intervals are known, so it is not known which of these differences could be chance."
        )
    elif all(credit.low == credit.high for credit in credits):
        sure = (
            f"The values are exact: to {len(apart)} of {len(regions)} regions the two models give "
            "different credit."
        )
    elif apart:
        sure = (
            f"For {len(apart)} of {len(regions)} regions the 95 % interval of the difference "
            f"excludes 0: to these the two models give different credit. Of {len(regions)} such "
            f"intervals about {max(1, round(len(regions) / 20))} would by chance, if the models "
            "were the same."
        )
    else:
        sure = (
            "For no region the 95 % interval of the difference excludes 0: by these evaluations "
            "the two models may give all of them the same credit."
        )
    return {"said": said, "sure": sure, "one": one, "other": other, "label": first.label}
