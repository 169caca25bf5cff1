"""Reasons to doubt an explanation that was computed without an error.

Each is typed: a code that stays, a sentence for people, and the figure with the limit it passed.
`worker/adapters/warnings.py` decides when; docs/warnings.md says why at these limits.
"""

from enum import StrEnum

from pydantic import Field

from service.schemas.base import ResponseModel


class WarningCode(StrEnum):
    """What makes an explanation doubtful; docs/warnings.md explains each and its limit."""

    PARTIAL = "partial"  # canceled before its evaluations were spent
    NO_STANDARD_ERRORS = "no_standard_errors"  # an estimate of unknown error
    NO_INTERVAL = "no_interval"  # standard errors are known, but no confidence interval
    FEW_EVALUATIONS = "few_evaluations"  # too few for the number of players of a regression
    COARSE_REGIONS = "coarse_regions"  # much of the picture is not divided further
    LOW_HELD_OUT_FIDELITY = "low_held_out_fidelity"  # predicts held-out scores badly
    LARGE_EVEN_ENERGY = "large_even_energy"  # no heatmap can show most of the score's variation
    TARGET_NOT_REACHED = "target_not_reached"  # standard errors stayed above the target
    DRAFT_PRECISION = "draft_precision"  # the model computed in less than float32
    NAN_HIDDEN = "nan_hidden"  # the model turned NaN into numbers on the way
    COMPARED_RESIZED = "compared_resized"  # the compared model saw another size than it takes
    PICTURE_CROPPED = "picture_cropped"  # much of the upload is outside what the model saw
    OTHER_COLOURS = "other_colours"  # the upload is of another colour space than sRGB
    FEW_LEVELS = "few_levels"  # the upload uses few of the levels that its bit depth allows
    TIES = "ties"  # equal numbers were ordered arbitrarily
    NOT_BETTER_THAN_RANDOM = "not_better_than_random"  # in one of its own faithfulness curves


class ResultWarning(ResponseModel):
    """One reason to doubt an explanation, or one of its outputs."""

    code: WarningCode
    detail: str = Field(description="Explanation in one sentence, with the figure")
    output: int | None = Field(
        description="Index of the output concerned; null: the whole explanation"
    )
    value: float | None = Field(description="The figure; null if it has none")
    limit: float | None = Field(description="Limit that the figure was compared with; null: none")
