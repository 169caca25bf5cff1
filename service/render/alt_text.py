"""What a drawing shows, in words, for those who do not see it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.render.colours import Scale, Sums
from service.render.row import Row

PLACES = (
    ("in the upper left", "in the upper middle", "in the upper right"),
    ("in the middle left", "in the centre", "in the middle right"),
    ("in the lower left", "in the lower middle", "in the lower right"),
)
MAX_NAMED = 20  # outputs; a longer text helps nobody
NOTABLE = 2 / 9  # twice the share that a ninth has where credit is even


@dataclass(frozen=True)
class AltText:
    """What goes into a PNG beside its pixels."""

    title: str
    description: str


def of_figure(rows: Sequence[Row], sums: Sequence[Sums], scale: Scale) -> AltText:
    """A sentence for each picture and output; `sums` as drawn."""
    names = [name for row in rows for name in row.attributions.names]
    one = len(rows) == 1
    counted = "A picture" if one else f"{len(rows)} pictures"
    sentences = [f"{counted} and, beside {'it' if one else 'each'}, what {_colours(scale)}."]
    for number, (row, credit) in enumerate(zip(rows, sums, strict=True), start=1):
        who = "The picture" if one else f"Picture {number}"
        sentences += [f"{who} is truly {row.true_label}."] if row.true_label else []
        sentences += [] if one or row.true_label else [f"{who}:"]
        sentences += _outputs(row.attributions.names, row.scores, credit)
    return AltText(f"What speaks for {join_names(names)}", " ".join(sentences))


def of_layer(what: str, name: str, score: float | None, sums: Sums, scale: Scale) -> AltText:
    """Of one output; `what` begins the sentence."""
    scores = None if score is None else [score]
    sentences = [f"{what} what {_colours(scale)}.", *_outputs([name], scores, sums)]
    return AltText(f"What speaks for {name}", " ".join(sentences))


def join_names(names: Sequence[str]) -> str:
    """Each name once, the first of many."""
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
    """A sentence for each of the first outputs, and one for the rest."""
    scored = [""] * len(names) if scores is None else [f" (score {each:.3g})" for each in scores]
    sentences = [
        f"{name}{scored[output]}: {_where(sums[..., output])}."
        for output, name in enumerate(names[:MAX_NAMED])
    ]
    more = len(names) - MAX_NAMED
    return [*sentences, f"And {more} more outputs."] if more > 0 else sentences


def _where(sums: NDArray[np.floating]) -> str:
    credit = _ninths(np.maximum(sums, 0))
    if not credit.any():
        return "nothing speaks for it"
    share = credit.max() / credit.sum()
    if share < NOTABLE:
        return "what speaks for it is spread over the picture"
    row, column = divmod(int(credit.argmax()), 3)
    return f"{share:.0%} of what speaks for it lies {PLACES[row][column]}"


def _ninths(credit: NDArray[np.floating]) -> NDArray[np.floating]:
    """Sum (H, W) over three by three parts: (3, 3)."""
    height, width = credit.shape
    sums: NDArray[np.floating] = _thirds(height).T @ credit @ _thirds(width)
    return sums


def _thirds(length: int) -> NDArray[np.float64]:
    """Which third the middle of each pixel lies in: (length, 3), ones and zeros."""
    middles = (np.arange(length) + 0.5) / length
    thirds: NDArray[np.float64] = np.eye(3)[(middles * 3).astype(int)]
    return thirds


def printable(text: str) -> str:
    """One line that any encoding of Unicode can hold."""
    return "".join(character if character.isprintable() else " " for character in text)
