"""Faithfulness: how the score changes as elements are shown or hidden in the attribution's order.

The perturbations and their sources are in perturbation.py. Better are: keep_positive and insertion
high, remove_positive and deletion low, as the elements that raise the score go first; keep_negative
low and remove_negative high. In shap the absolute ones have a direction only where the score is a
loss: keep low, remove high.

No area is conclusive: metrics disagree with each other, and pictures with hidden parts are unlike
the training pictures of models. So every curve has a random baseline, the same perturbation in a
drawn order: one order for all metrics and outputs, see draw_lots. A drawn order has no sign at
which to stop; it stops after as many elements as the curve, so that at each x the two differ only
in which elements changed. The baseline is a single draw: with a dozen superpixels, another seed may
well give another baseline.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from worker.engine.arrays import Scores
from worker.engine.attribution import Attribution
from worker.engine.game.coalitions import CHUNK, Coalitions, Shape
from worker.engine.metrics.perturbation import (
    METRICS,
    Metric,
    Perturbation,
    draw_lots,
    largest_tie,
    perturb,
    stops,
)
from worker.engine.metrics.ranks import (
    Fingerprint,
    Fingerprints,
    RankCoalitions,
    RankCut,
    Ranks,
    rank,
)

POINTS = 100  # of the curves of shap, whatever the number of steps


@dataclass(frozen=True, eq=False)
class FaithfulnessCurve:
    """The (linked) score of one output along one perturbation, and along a random baseline.

    metric: a name in METRICS. output: its position, 0..K-1. x: (P,) float64, the share of the steps
    done, 0..1; for deletion and insertion the share of the pixels. y, baseline: (P,) float64, the
    score there, perturbed in the order of the attribution and in a drawn one. area, baseline_area:
    the area under y - y[0], above 0 where the score rises; for deletion and insertion under y.
    largest_tie: the share of the elements, or pixels, in the largest group of equal attributions;
    the order within it is by position, and another order would give another curve.
    """

    metric: str
    output: int
    x: Scores
    y: Scores
    area: float
    baseline: Scores
    baseline_area: float
    largest_tie: float

    @property
    def is_better(self) -> bool | None:
        """Return whether the area is better than the baseline's; None where neither is.

        None for the absolute orders, which mix elements that raise the score with elements that
        lower it, and for equal curves, such as those of an attribution without positive elements.
        """
        if METRICS[self.metric].order == "absolute" or np.array_equal(self.y, self.baseline):
            return None
        gain = self.area - self.baseline_area
        return gain > 0 if METRICS[self.metric].rises else gain < 0


class Track(NamedTuple):
    """A planned curve: the coalitions at its points and at those of its baseline."""

    metric: str
    output: int
    points: list[Fingerprint]
    baseline: list[Fingerprint]
    largest_tie: float


class Faithfulness:
    """The curves of a complete attribution: every metric for every output.

    Curves share many coalitions, with each other and with themselves. Each is scored once; the
    empty and the full one are known.
    """

    def __init__(self, attribution: Attribution, metrics: Sequence[str], *, seed: int) -> None:
        self._values = attribution.values
        self._shape: Shape = attribution.values.shape[:3]
        self._seed = seed
        self._known: dict[Fingerprint, Scores] = {}  # (K,) each
        self._missing: dict[Fingerprint, RankCut] = {}
        self._tracks: list[Track] = []
        if not metrics:
            return
        fingerprints, drawn = Fingerprints(self._shape), self._drawn[True]
        empty, full = fingerprints.of(drawn, np.array([0, drawn.size]), keep=True)
        self._known |= {empty: attribution.base_values, full: attribution.scores}
        for name, output in product(metrics, range(len(attribution.scores))):
            metric, values = METRICS[name], attribution.values[..., output]
            curve = perturb(metric, values)
            baseline = curve._replace(ranks=self._drawn[metric.by_pixel])
            points = self._enter(fingerprints, curve), self._enter(fingerprints, baseline)
            self._tracks.append(Track(name, output, *points, largest_tie(metric, values)))

    @property
    def planned_evaluations(self) -> int:
        """Count the distinct coalitions of all curves but the two that are known."""
        return len(self._missing)

    def run(self) -> Generator[Coalitions, Scores, tuple[FaithfulnessCurve, ...]]:
        """Yield coalitions; receive (B, K) scores; return the curves, metric by metric."""
        missing = list(self._missing.items())
        for start in range(0, len(missing), CHUNK):
            prints, cuts = zip(*missing[start : start + CHUNK], strict=True)
            scores = yield RankCoalitions(cuts)
            self._known.update(zip(prints, scores, strict=True))
        return tuple(self._curve(track) for track in self._tracks)

    @cached_property
    def _drawn(self) -> dict[bool, Ranks]:
        """Return the drawn order of elements (H, W, C), and by pixel: (H, W)."""
        lots = draw_lots(self._values, self._seed)  # (H, W, C)
        return {False: rank(lots), True: rank(lots.sum(axis=2))}

    def _enter(self, fingerprints: Fingerprints, perturbation: Perturbation) -> list[Fingerprint]:
        """Queue a perturbation's unscored coalitions; return the fingerprints of all of them."""
        ranks, stops, keep = perturbation
        prints, cuts = fingerprints.of(ranks, stops, keep=keep), perturbation.cuts
        for point, cut in zip(prints, cuts, strict=True):
            if point not in self._known:
                self._missing.setdefault(point, cut)
        return prints

    def _curve(self, track: Track) -> FaithfulnessCurve:
        metric = METRICS[track.metric]
        x, y = self._read(metric, track.points, track.output)
        _, baseline = self._read(metric, track.baseline, track.output)
        areas = _area(metric, x, y), _area(metric, x, baseline)
        return FaithfulnessCurve(
            metric=track.metric,
            output=track.output,
            x=x,
            y=y,
            area=areas[0],
            baseline=baseline,
            baseline_area=areas[1],
            largest_tie=track.largest_tie,
        )

    def _read(
        self, metric: Metric, points: list[Fingerprint], output: int
    ) -> tuple[Scores, Scores]:
        """Return x and y of a curve: (P,) each."""
        y = np.array([self._known[point][output] for point in points])
        if metric.by_pixel:
            count = self._shape[0] * self._shape[1]
            return stops(count) / count, y
        x = np.linspace(0, 1, POINTS)
        return x, np.interp(x, np.linspace(0, 1, len(y)), y)


def max_evaluations(metrics: Sequence[str], shape: Shape, outputs: int) -> int:
    """Bound the evaluations of metrics of `outputs` outputs of pictures (H, W, C) from above.

    Every curve takes its points, and the baselines of a metric take them once more, as far as
    outputs do not share them.
    """
    pixels = shape[0] * shape[1]
    counts = [pixels if METRICS[name].by_pixel else pixels * shape[2] for name in metrics]
    return (outputs + 1) * sum(len(stops(count)) for count in counts)


def _area(metric: Metric, x: Scores, y: Scores) -> float:
    return float(np.trapezoid(y if metric.by_pixel else y - y[0], x))
