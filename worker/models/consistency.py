"""Checks at load time, on trial pictures, that a score depends on its picture alone.

An explanation compares scores of pictures in batches of any size and content. Where a score also
depends on the rest of the batch, on the place within it or on chance, score differences are not
due to pixels, and the result would not show it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Pictures
from worker.engine.game.coalitions import Shape
from worker.engine.predictor import Predictor
from worker.engine.scoring.batch_size import device_batch_size
from worker.engine.scoring.precision import soft_pictures
from worker.models.errors import ModelUnavailableError

# Largest accepted difference between scores of one picture in batches of different sizes, which
# libraries compute on different paths; as a share of the largest score. Measured on CPUs:
# TensorFlow, frozen or not, 2e-6 for MobileNetV2 and the bundled models; in float16 2.4e-3;
# OpenVINO and bfloat16 0.
ROUNDING = {"float64": 1e-4, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
# The share of ROUNDING accepted between batches of one size. In them no score differed on CPUs,
# whatever the order; a tenth leaves room for GPUs.
SAME_SIZE = 0.1
MIN_SCALE = 0.01  # of the largest score of all outputs, as outputs near 0 have the same rounding
TIMES, TIMES_AT_RANDOM = 1, 20  # repetitions of a batch, without and with random numbers
OF_ONE_COLOUR = ("black", "white", "one colour")
BY_CHANCE = (
    "Layers that act at random, such as dropout or augmentation, were exported in training mode"
)
BY_BATCH = (
    "A layer computes over the whole batch, such as BatchNormalization exported in training mode "
    "or a normalisation of the whole input"
)

Scores = NDArray[np.float32]


def trial_pictures(shape: Shape) -> dict[str, Pictures]:
    """Return pictures (H, W, C), float32 in 0..255, by name; the same ones for the same shape.

    Some have one colour, as maskers paint; one is noise; others have structure, whole or partly
    hidden.
    """
    rows, columns, channels = shape
    rng = np.random.default_rng(0)
    colour = np.array([200.0, 60.0, 20.0])[:channels]
    soft = soft_pictures(shape, 4)
    up = np.linspace(0, 255, rows)[:, np.newaxis, np.newaxis]
    board = 255 * ((np.arange(rows)[:, np.newaxis] + np.arange(columns)) // 4 % 2)
    half = soft[0].copy()
    half[: rows // 2] = 0
    spot = np.zeros(shape)
    spot[rows // 2, columns // 2] = 255
    pictures = {
        "black": np.zeros(shape),
        "white": np.full(shape, 255.0),
        "one colour": np.broadcast_to(colour, shape),
        "noise": rng.integers(0, 256, shape),
        "faint noise": rng.integers(120, 136, shape),
        "a gradient": np.broadcast_to(up, shape),
        "a chequerboard": np.broadcast_to(board[..., np.newaxis], shape),
        "one bright pixel": spot,
        "a structure": soft[0],
        "another structure": soft[1],
        "a third structure": soft[2],
        "a structure half black": half,
    }
    return {name: np.clip(each, 0, 255).astype(np.float32) for name, each in pictures.items()}


@dataclass(frozen=True)
class Trial:
    """One way to batch the trial pictures (by their indices), and the cause of a difference."""

    case: str
    cause: str
    batches: Sequence[Sequence[int]]
    same_size: bool  # whether the batches have the size of the first scoring


def check_trials(
    predictor: Predictor, pictures: Mapping[str, Pictures], scores: Scores, *, at_random: bool
) -> None:
    """Refuse a model where a score depends on more than its picture.

    pictures: see `trial_pictures`. scores: (N, K), from `score_trials`. at_random: whether the
    graph draws random numbers, so that more repetitions are scored. Pictures of one colour may be
    NaN in some batches alone: kernels that hide NaN may run in batches of some sizes only (see
    finiteness.py). Raises ModelUnavailableError with the case, picture and difference.
    """
    names, given = list(pictures), np.stack(list(pictures.values()))  # (N, H, W, C)
    batch = device_batch_size(predictor.input_shape, predictor.device)
    first = _cut(range(len(given)), batch)
    _check_finite(scores, names)
    finite = np.where(np.isfinite(scores), np.abs(scores), 0)
    scale = np.maximum(finite.max(axis=0), MIN_SCALE * finite.max())  # (K,)
    scale = np.maximum(scale, np.finfo(np.float32).tiny)  # all scores may be 0
    for trial in _trials(len(given), first, batch, at_random=at_random):
        allowed = ROUNDING.get(predictor.dtype, ROUNDING["bfloat16"])
        allowed *= SAME_SIZE if trial.same_size else 1
        for places in trial.batches:
            off = apart(predictor(given[places]), scores[places]) / scale  # (B, K)
            one_colour = [names[place] in OF_ONE_COLOUR for place in places]
            off[one_colour] = np.where(np.isfinite(off[one_colour]), off[one_colour], 0)
            if off.max() > allowed:
                row, output = np.unravel_index(off.argmax(), off.shape)
                raise ModelUnavailableError(
                    f"a score depends on more than its picture: {trial.case}, scores of one "
                    f"picture ({names[places[row]]}) differ by {off[row, output]:.2g} of the "
                    f"largest score of output {output}; rounding of up to {allowed:.0e} is "
                    f"accepted. {trial.cause}"
                )


def score_trials(predictor: Predictor, pictures: Mapping[str, Pictures]) -> Scores:
    """Score pictures, each (H, W, C), in batches of the predictor's preferred size: (N, K)."""
    given = np.stack(list(pictures.values()))  # (N, H, W, C)
    batch = device_batch_size(predictor.input_shape, predictor.device)
    return np.concatenate([predictor(given[part]) for part in _cut(range(len(given)), batch)])


def apart(one: Scores, other: Scores) -> Scores:
    """Return absolute differences; 0 where neither score is finite, inf where only one is."""
    both = np.isfinite(one) & np.isfinite(other)
    neither = ~np.isfinite(one) & ~np.isfinite(other)
    with np.errstate(invalid="ignore"):
        return np.where(both, np.abs(one - other), np.where(neither, 0, np.inf))


def _trials(
    count: int, first: Sequence[Sequence[int]], batch: int, *, at_random: bool
) -> Iterator[Trial]:
    places = list(range(count))
    full = [np.resize(places, batch).tolist()]
    for _ in range(TIMES_AT_RANDOM if at_random else TIMES):
        yield Trial("scored once more", BY_CHANCE, first, same_size=True)
    mixed = sorted(places, key=lambda place: (place % 3, -place))
    yield Trial("in another order", BY_BATCH, _cut(mixed, batch), same_size=True)
    yield Trial("alone or beside others", BY_BATCH, [[place] for place in places], same_size=False)
    yield Trial(f"in a batch of {batch}", BY_BATCH, full, same_size=False)


def _cut(order: Sequence[int], batch: int) -> list[list[int]]:
    """Cut an order of pictures into about equal batches of at most `batch`."""
    parts = -(-len(order) // batch)
    return [part.tolist() for part in np.array_split(np.asarray(order), parts)]


def _check_finite(scores: Scores, names: Sequence[str]) -> None:
    """Refuse a model that scores a picture of more than one colour with NaN or infinity."""
    for name, row in zip(names, scores, strict=True):
        count = int((~np.isfinite(row)).sum())
        if count and name not in OF_ONE_COLOUR:
            raise ModelUnavailableError(
                f"{count} of {len(row)} scores are NaN or infinite for the trial picture: {name}"
            )
