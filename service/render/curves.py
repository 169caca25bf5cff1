"""Faithfulness curves: the score as elements are shown or hidden in the order of attribution."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.render.errors import InvalidCurvesError


@dataclass(frozen=True)
class Metric:
    """The wording of a metric in a chart."""

    title: str
    order: str
    done: str  # to the share of elements on the x axis
    hoped: str  # the expected course of a faithful curve


METRICS = {
    "keep_positive": Metric("Keep positive", "most positive first", "shown", "rises early"),
    "keep_negative": Metric("Keep negative", "most negative first", "shown", "falls early"),
    "keep_absolute": Metric("Keep absolute", "strongest first", "shown", "is soon near its end"),
    "remove_positive": Metric("Remove positive", "most positive first", "hidden", "falls early"),
    "remove_negative": Metric("Remove negative", "most negative first", "hidden", "rises early"),
    "remove_absolute": Metric(
        "Remove absolute", "strongest first", "hidden", "is soon near its end"
    ),
    "deletion": Metric("Deletion", "most positive first", "hidden", "falls early"),
    "insertion": Metric("Insertion", "most positive first", "shown", "rises early"),
}


@dataclass(frozen=True, eq=False)
class ChartCurve:
    """The score of one output along the order of attribution, and along a random order.

    `x` (P,) is the share of elements shown or hidden, 0..1 and never falling; `y` and `baseline`
    (P,) are scores, by the attribution's order and by a random one. Raises InvalidCurvesError.
    """

    metric: str
    label: str  # label of the output
    output: int  # index of the output
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    baseline: NDArray[np.float64]
    area: float
    baseline_area: float

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise InvalidCurvesError(
                f"metric must be one of {', '.join(METRICS)}; received {self.metric!r}"
            )
        shapes = [np.shape(numbers) for numbers in (self.x, self.y, self.baseline)]
        if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0] < (2,):
            raise InvalidCurvesError(
                f"x, y and baseline must have the same two or more points; received {shapes}"
            )
        numbers = [*self.x, *self.y, *self.baseline, self.area, self.baseline_area]
        if not np.isfinite(numbers).all():
            raise InvalidCurvesError(f"{self.metric} of {self.label!r} has NaN or infinite numbers")
        if self.x[0] < 0 or self.x[-1] > 1 or (np.diff(self.x) < 0).any():
            raise InvalidCurvesError("x must be shares in 0..1 that never fall")
