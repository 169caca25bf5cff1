"""One row of a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.render.attributions import Attributions
from service.render.errors import InvalidOptionError
from service.render.fonts import can_write
from service.render.layout import Heading, Size
from service.render.names import by_index
from service.render.text import MINUS


@dataclass(frozen=True)
class Row:
    """One picture of a figure; `scores`, one for each output, appear under the names."""

    attributions: Attributions
    scores: Sequence[float] | None = None
    true_label: str | None = None

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
        notes = [f"{score:.3g}".replace("-", MINUS) for score in self.scores or ()]
        panels = map(Heading, names, notes or [""] * len(names))
        truth = Heading(self.true_label, "true label") if self.true_label else Heading()
        return [truth, *panels]
