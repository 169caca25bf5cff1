"""One row of a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.render.attributions import Attributions
from service.render.drawing import Size
from service.render.errors import InvalidOptionError
from service.render.fonts import can_write
from service.render.layout import Heading
from service.render.names import by_index
from service.render.provenance import Provenance
from service.render.text import MINUS, short_numbers

SIDES = ("model", "compared", "difference")


@dataclass(frozen=True)
class Row:
    """One picture of a figure; `scores`, one for each output, appear under the names.

    true_index: the output of the true label, which is marked where it is shown. correct: whether
    the model's top class is the true one; None if that is not known. sides: of a comparison of two
    models, what each output belongs to; minus: names them, as "one minus other".
    """

    attributions: Attributions
    scores: Sequence[float] | None = None
    true_label: str | None = None
    origin: Provenance | None = None
    true_index: int | None = None
    correct: bool | None = None
    sides: Sequence[str] = ()
    minus: str = ""

    def __post_init__(self) -> None:
        outputs = len(self.attributions.output_names)
        if self.scores is not None and len(self.scores) != outputs:
            raise InvalidOptionError(
                f"scores must be one for each of {outputs} outputs; received {len(self.scores)}"
            )

    @property
    def size(self) -> Size:
        height, width = self.attributions.data.shape[:2]
        return width, height

    @property
    def differences(self) -> NDArray[np.bool_]:
        """Whether each output is the difference of two models, which has a scale of its own."""
        outputs = len(self.attributions.output_names)
        return np.array([side == "difference" for side in self.sides] or [False] * outputs)

    @property
    def in_threes(self) -> bool:
        """Whether each class has its three outputs side by side."""
        threes = len(self.sides) // len(SIDES)
        return threes > 0 and tuple(self.sides) == SIDES * threes

    @property
    def headings(self) -> list[Heading]:
        """The headings of the picture and of each output."""
        shown = self.attributions
        names = [
            name if can_write(name) else by_index(index)
            for name, index in zip(shown.names, shown.output_indices, strict=True)
        ]
        numbers = short_numbers(self.scores or ()) or [""] * len(names)
        marks = [
            "✓ true label" if index == self.true_index else "" for index in shown.output_indices
        ]
        notes = [
            f"{number.replace('-', MINUS)} {mark}".strip()
            for number, mark in zip(numbers, marks, strict=True)
        ]
        verdict = {None: "", True: " ✓ predicted", False: " ✗ not predicted"}[self.correct]
        truth = Heading(self.true_label, f"true label{verdict}") if self.true_label else Heading()
        return [truth, *map(Heading, names, notes)]
