"""One row of a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.render.attributions import Attributions
from service.render.drawing import Size
from service.render.errors import InvalidOptionError
from service.render.fonts import can_write
from service.render.layout import Heading
from service.render.names import by_index
from service.render.provenance import Provenance
from service.render.text import MINUS, short_numbers


@dataclass(frozen=True)
class Row:
    """One picture of a figure; `scores`, one for each output, appear under the names.

    predicted: whether the first output is the prediction of the model, to be compared with the
    true label.
    """

    attributions: Attributions
    scores: Sequence[float] | None = None
    true_label: str | None = None
    origin: Provenance | None = None
    predicted: bool = False

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
    def headings(self) -> list[Heading]:
        """The headings of the picture and of each output."""
        shown = self.attributions
        names = [
            name if can_write(name) else by_index(index)
            for name, index in zip(shown.names, shown.output_indices, strict=True)
        ]
        numbers = short_numbers(self.scores or ()) or [""] * len(names)
        true = [self._is_true(output) for output in range(len(names))]
        notes = [
            f"{number.replace('-', MINUS)} {'✓ true label' if right else ''}".strip()
            for number, right in zip(numbers, true, strict=True)
        ]
        verdict = ""
        if self.predicted:
            verdict = " ✓ predicted" if true[0] else " ✗ not predicted"
        truth = Heading(self.true_label, f"true label{verdict}") if self.true_label else Heading()
        return [truth, *map(Heading, names, notes)]

    def _is_true(self, output: int) -> bool:
        """Whether the output has the true label, apart from case, spaces and underscores."""
        index = self.attributions.output_indices[output]
        name = self.attributions.output_names[output].removeprefix(f"{index}: ")
        return self.true_label is not None and _plain(name) == _plain(self.true_label)


def _plain(label: str) -> str:
    return " ".join(label.replace("_", " ").split()).casefold()
