"""Compares an explanation with a later run of the same request; pure functions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.schemas.evidence import Evidence
from service.schemas.reproduction import (
    Change,
    CoalitionsCompared,
    CurvesCompared,
    LargestDifference,
    Reproduction,
    Verdict,
)
from service.schemas.results import Curve, Outcome

MIN_SHARE = 0.01  # of the largest score of all outputs, as outputs near 0 have the same rounding

Values = NDArray[np.float32]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Run:
    """An explanation's result, and what it rests on."""

    id: str
    outcome: Outcome
    evidence: Evidence
    rows: Sequence[bytes]  # of the coalitions
    scores: NDArray[np.generic]  # (B, K)
    curves: Sequence[Curve]

    @property
    def outputs(self) -> list[int]:
        return [output.index for output in self.outcome.outputs]

    def all_scores(self) -> NDArray[np.float64]:
        """Returns the scores of the empty, the full and the other coalitions: (2 + B, K)."""
        outputs = self.outcome.outputs
        ends = [[each.base_value for each in outputs], [each.score for each in outputs]]
        return np.concatenate([np.array(ends), self.scores.astype(np.float64)])


def common_outputs(before: Run, now: Run) -> list[tuple[int, int]]:
    """Returns the positions, before and now, of the outputs that both runs explain."""
    return [
        (before.outputs.index(output), place)
        for place, output in enumerate(now.outputs)
        if output in before.outputs
    ]


def compare(
    before: Run,
    now: Run,
    values: Iterable[tuple[Values, Values]],
    regions: Labels | None,
) -> Reproduction:
    """Compares two runs.

    values: the values (H, W, C) before and now of each common output; empty where they have other
    shapes. regions: (H, W) or (H, W, C), the number of the region of each pixel, or of each channel
    of it; negative outside of all.
    """
    shared = min(len(before.rows), len(now.rows))
    alike = next((n for n in range(shared) if before.rows[n] != now.rows[n]), shared)
    same_coalitions = alike == len(before.rows) == len(now.rows)

    old, new = before.all_scores(), now.all_scores()
    largest = np.abs(old).max(axis=0)
    scale = np.maximum(largest, max(MIN_SHARE * largest.max(), np.finfo(np.float32).tiny))  # (K,)
    common = common_outputs(before, now)
    scores = [np.abs(new[: alike + 2, j] - old[: alike + 2, i]).max() / scale[i] for i, j in common]
    sums = [
        np.abs(_sums(other.astype(np.float64) - one, regions)).max() / scale[i]
        for (i, _), (one, other) in zip(common, values, strict=False)
    ]
    tolerance = before.evidence.score_tolerance
    of_scores, of_values = _largest(scores, tolerance), _largest(sums, 2 * tolerance)
    apart = [each / scale[before.outputs.index(i)] for i, each in _curves_apart(before, now)]
    of_curves = CurvesCompared(
        before=len(before.curves),
        now=len(now.curves),
        **_largest(apart, tolerance).model_dump(),
    )

    same_question = same_coalitions and before.outputs == now.outputs
    same_question &= len(apart) == of_curves.before == of_curves.now
    found = [of_scores, of_values, *([of_curves] if apart else [])]
    verdict: Verdict = "differs"
    if _fingerprints(before) != _fingerprints(now):
        verdict = "other_model"
    elif same_question and all(each.largest == 0 for each in found):
        verdict = "same"
    elif same_question and all(each.within for each in found):
        verdict = "within_tolerance"
    return Reproduction(
        id=now.id,
        reproduces=before.id,
        verdict=verdict,
        model=_changes(_parts(before), _parts(now)),
        runtime=_changes(_runtime(before), _runtime(now)),
        same_pixels=before.evidence.pixels_sha256 == now.evidence.pixels_sha256,
        outputs_before=before.outputs,
        outputs_now=now.outputs,
        coalitions=CoalitionsCompared(
            before=len(before.rows),
            now=len(now.rows),
            first_difference=None if same_coalitions else alike,
        ),
        scores=of_scores,
        values=of_values,
        curves=of_curves,
    )


def _curves_apart(before: Run, now: Run) -> Iterator[tuple[int, float]]:
    """Yields the output and the largest difference of each curve that both runs have."""
    known = {(curve.metric, curve.output): curve for curve in before.curves}
    for curve in now.curves:
        earlier = known.get((curve.metric, curve.output))
        if earlier and earlier.x == curve.x:
            one, other = (np.array([each.y, each.baseline]) for each in (earlier, curve))
            yield curve.output, float(np.abs(other - one).max())


def _sums(numbers: NDArray[np.float64], regions: Labels | None) -> NDArray[np.float64]:
    """Returns the sum of numbers (H, W, C) over each region; the numbers where none are known."""
    if regions is None:
        return numbers
    inside = regions >= 0
    of_each = numbers.sum(axis=2) if regions.ndim == 2 else numbers
    return np.bincount(regions[inside], weights=of_each[inside]).astype(np.float64, copy=False)


def _largest(shares: list[float], tolerance: float) -> LargestDifference:
    largest = float(max(shares)) if shares else None
    within = None if largest is None else largest <= tolerance
    return LargestDifference(largest=largest, tolerance=tolerance, within=within)


def _fingerprints(run: Run) -> list[str | None]:
    """Returns the fingerprint of the model, and of the one that it is compared with."""
    compared = run.outcome.compared
    return [run.outcome.model.fingerprint, compared.fingerprint if compared else None]


def _parts(run: Run) -> dict[str, Any]:
    """Returns the parts of the model, and of the compared one as `compared.…`."""
    compared = run.outcome.compared
    found: dict[str, Any] = {}
    for prefix, model in (("", run.outcome.model), ("compared.", compared)):
        if model and model.parts:
            parts = model.parts.model_dump(mode="json")
            found |= {f"{prefix}{name}": part for name, part in parts.items()}
    return found


def _runtime(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {"batch": run.evidence.batch}
    for prefix, runtime in (
        ("", run.outcome.runtime),
        ("compared.", run.outcome.compared_runtime),
    ):
        if runtime:
            known = runtime.model_dump(exclude={"versions"})
            known |= {f"versions.{name}": text for name, text in runtime.versions.items()}
            found |= {f"{prefix}{name}": text for name, text in known.items()}
    return found


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    return [
        Change(name=name, before=before.get(name), now=now.get(name))
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
