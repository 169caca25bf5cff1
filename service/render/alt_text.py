"""Alternative text: describes a drawing for people who cannot see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.render.colours import Scale, Sums
from service.render.row import Row
from service.render.text import short_numbers

PLACES = (
    ("in the upper left", "in the upper middle", "in the upper right"),
    ("in the middle left", "in the centre", "in the middle right"),
    ("in the lower left", "in the lower middle", "in the lower right"),
)
MAX_NAMED = 20  # outputs; a longer text is hard to follow
NOTABLE = 2 / 9  # twice the share of each ninth when credit is even


@dataclass(frozen=True)
class AltText:
    """The title and description stored in a file, and other metadata by keyword."""

    title: str
    description: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def entries(self) -> dict[str, str]:
        """All of it by keyword, printable."""
        texts = {
            "Software": "Shapshot",
            **self.metadata,
            "Title": self.title,
            "Description": self.description,
        }
        return {keyword: printable(text) for keyword, text in texts.items()}


def of_figure(rows: Sequence[Row], sums: Sequence[Sums], scale: Scale | None) -> AltText:
    """Describes each picture and output of a figure.

    sums: of each pixel; scale: None if there are several.
    """
    names = [name for row in rows for name in row.attributions.names]
    one = len(rows) == 1
    counted = "A picture" if one else f"{len(rows)} pictures"
    colours = "speaks for and against outputs" if scale is None else _colours(scale)
    sentences = [f"{counted} and, beside {'it' if one else 'each'}, what {colours}."]
    for number, (row, credit) in enumerate(zip(rows, sums, strict=True), start=1):
        who = "The picture" if one else f"Picture {number}"
        sentences += [f"{who} is truly {row.true_label}."] if row.true_label else []
        sentences += [] if one or row.true_label else [f"{who}:"]
        sentences += _outputs(row.attributions.names, row.scores, credit)
    return AltText(f"What speaks for {join_names(names)}", " ".join(sentences))


def of_layer(what: str, name: str, score: float | None, sums: Sums, scale: Scale) -> AltText:
    """Describes a layer of one output; what: the beginning of the sentence."""
    scores = None if score is None else [score]
    sentences = [f"{what} what {_colours(scale)}.", *_outputs([name], scores, sums)]
    return AltText(f"What speaks for {name}", " ".join(sentences))


def join_names(names: Sequence[str]) -> str:
    """Joins the distinct names, at most MAX_NAMED of them."""
    different = list(dict.fromkeys(names))
    more = len(different) - MAX_NAMED
    return "; ".join(different[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _colours(scale: Scale) -> str:
    if not scale.bound:
        return "speaks for and against outputs: nothing, as all attributions are zero"
    positive, negative = scale.palette.positive_name, scale.palette.negative_name
    return (
        f"speaks for an output in {positive} and against it in {negative}, "
        f"strongest from ±{scale.bound:.3g}"
    )


def _outputs(names: Sequence[str], scores: Sequence[float] | None, sums: Sums) -> list[str]:
    """A sentence for each of the first outputs, and one that counts the rest."""
    scored = [f" (score {each})" for each in short_numbers(scores or ())] or [""] * len(names)
    sentences = [
        f"{name}{scored[output]}: {_where(sums[..., output])}."
        for output, name in enumerate(names[:MAX_NAMED])
    ]
    more = len(names) - MAX_NAMED
    return [*sentences, f"And {more} more outputs."] if more > 0 else sentences


def _where(sums: NDArray[np.floating]) -> str:
    height, width = sums.shape
    credit = _thirds(height).T @ np.maximum(sums, 0) @ _thirds(width)  # (3, 3), of each ninth
    if not credit.any():
        return "nothing speaks for it"
    share = credit.max() / credit.sum()
    if share < NOTABLE:
        return "what speaks for it is spread over the picture"
    row, column = divmod(int(credit.argmax()), 3)
    return f"{share:.0%} of what speaks for it lies {PLACES[row][column]}"


def _thirds(length: int) -> NDArray[np.float64]:
    """The third that contains the middle of each pixel, one-hot: (length, 3)."""
    middles = (np.arange(length) + 0.5) / length
    thirds: NDArray[np.float64] = np.eye(3)[(middles * 3).astype(int)]
    return thirds


def printable(text: str) -> str:
    """The text in one line, without unprintable characters."""
    return "".join(character if character.isprintable() else " " for character in text)
