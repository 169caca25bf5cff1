"""Compares what a record says with its arrays and with what the scores lead to; pure functions.

Each raises CheckFailedError where they differ.
"""

import json
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from service.infra.packed_arrays import unpack
from service.infra.result_arrays import INTERACTION_BOUND_ENTRIES, INTERACTION_ENTRIES
from service.schemas.fingerprint import COMPARED_ENTRIES, MODEL_ENTRIES
from service.schemas.record import Record
from service.schemas.results import Faithfulness, OutputOf
from worker.adapters.recompute import Recomputed
from worker.record_checks import CURVES, CheckFailedError

# These solve linear systems, which LAPACK rounds by the number of its threads, too
SOLVED = ("kernel", "gaussian_process")
ROUNDING = {"float32": 1e-6, "float64": 1e-9}  # of the largest number
INTERACTIONS_ROUNDING = 1e-7  # the same; other processors gave up to 2e-10


def check_models(arrays: Mapping[str, NDArray[Any]], record: Record) -> None:
    result = record.result
    for entries, model in ((MODEL_ENTRIES, result.model), (COMPARED_ENTRIES, result.compared)):
        if model is None:
            if set(entries) & set(arrays):
                raise CheckFailedError("they name a compared model; the record names none")
            continue
        if missing := set(entries) - set(arrays):
            raise CheckFailedError(f"they have no {', '.join(sorted(missing))}")
        name, fingerprint, parts = (str(arrays[entry]) for entry in entries)
        told = (name, fingerprint, json.loads(parts or "null"))
        kept = (model.name, model.fingerprint, model.parts and model.parts.model_dump(mode="json"))
        if told != kept:
            raise CheckFailedError(
                f"they name {told[0]} {told[1]}; the record names {kept[0]} {kept[1]}"
            )


def check_differences(record: Record) -> None:
    """Check that each third score of a comparison is the first minus the second, to the bit."""
    outputs = record.result.outputs
    sides = [each.of for each in outputs]
    if sides != [*get_args(OutputOf)] * (len(sides) // 3):
        raise CheckFailedError(f"the outputs are of {', '.join(sides)}")
    ends = [[each.base_value for each in outputs], [each.score for each in outputs]]
    of_curves = record.evidence.curves
    for packed in (record.evidence.transcript.scores, of_curves and of_curves.scores):
        scores = np.concatenate([np.array(ends), unpack(packed)]) if packed else np.array(ends)
        one, other, difference = (scores[:, side::3] for side in range(3))
        if not np.array_equal(difference, one - other):
            raise CheckFailedError("a recorded difference is not the first score minus the second")


def check_values(arrays: Mapping[str, NDArray[Any]], record: Record, again: Recomputed) -> None:
    solved = record.settings.method in SOLVED
    _same("values", arrays["values"], again.values, rounded=solved)
    if (again.standard_errors is None) != ("standard_errors" not in arrays):
        raise CheckFailedError("the arrays have standard errors, or lack them, unlike the method")
    if again.standard_errors is not None:
        _same("standard errors", arrays["standard_errors"], again.standard_errors, rounded=solved)
    regions = record.evidence.regions
    if regions and again.region_values is not None:
        kept_values = unpack(regions.values)
        _same("region values of the record", kept_values, again.region_values, rounded=solved)
        _same("region values of the arrays", arrays["region_values"], kept_values)
        for name, kept in (
            ("region_standard_errors", regions.standard_errors),
            ("region_low", regions.low),
            ("region_high", regions.high),
        ):
            if kept is not None and name not in arrays:
                raise CheckFailedError(f"the arrays have no {name}")
            if kept is not None:
                _same(name.replace("_", " "), arrays[name], unpack(kept))


def check_interactions(arrays: Mapping[str, NDArray[Any]], again: Recomputed) -> None:
    """Check the arrays of interactions, all of which follow from the recorded scores."""
    kept = {*INTERACTION_ENTRIES, *INTERACTION_BOUND_ENTRIES} & set(arrays)
    if kept != set(again.interactions):
        raise CheckFailedError(
            f"the arrays have {', '.join(sorted(kept)) or 'none'}; the scores lead to "
            f"{', '.join(sorted(again.interactions)) or 'none'}"
        )
    for name, found in again.interactions.items():
        _same(
            name.replace("_", " "), arrays[name], found, rounded=True, limit=INTERACTIONS_ROUNDING
        )


def check_sums(arrays: Mapping[str, NDArray[Any]], record: Record) -> None:
    for k, output in enumerate(record.result.outputs):
        total = float(arrays["values"][..., k].sum(dtype=np.float64))
        scale = max(1.0, float(np.abs(arrays["values"][..., k]).sum(dtype=np.float64)))
        if abs(total - output.attribution_sum) > 1e-9 * scale:
            raise CheckFailedError(
                f"the values of output {output.index} add up to {total!r}; the record says "
                f"{output.attribution_sum!r}"
            )
        gap = output.score - output.base_value - output.attribution_sum
        if abs(gap - output.efficiency_gap) > 1e-9 * max(1.0, abs(output.score)):
            raise CheckFailedError(
                f"the gap of output {output.index} is {gap!r}, not what the record says"
            )


def check_curves(files: Mapping[str, bytes], record: Record, again: Recomputed) -> None:
    kept = Faithfulness.model_validate_json(files[CURVES]).curves
    if len(kept) != len(again.curves):
        raise CheckFailedError(f"there are {len(kept)}; the scores lead to {len(again.curves)}")
    for curve, area, redone in zip(kept, record.result.metrics, again.curves, strict=True):
        lines = (curve.x, curve.y, curve.baseline)
        if lines != (redone.x.tolist(), redone.y.tolist(), redone.baseline.tolist()):
            raise CheckFailedError(f"{curve.metric} of output {curve.output} is another curve")
        if (area.area, area.baseline_area) != (redone.area, redone.baseline_area):
            raise CheckFailedError(f"{curve.metric} of output {curve.output} has another area")


def _same(
    what: str,
    stored: NDArray[Any],
    found: NDArray[Any],
    *,
    rounded: bool = False,
    limit: float | None = None,
) -> None:
    """Check that arrays are the same to the last bit; rounded: but for a share of the largest
    number, by default ROUNDING.
    """
    if stored.shape != found.shape or stored.dtype != found.dtype:
        raise CheckFailedError(
            f"the {what} are {stored.dtype} of shape {stored.shape}; the scores lead to "
            f"{found.dtype} of shape {found.shape}"
        )
    if stored.tobytes("F") != found.tobytes("F"):
        apart = float(np.abs(stored.astype(np.float64) - found).max())
        share = limit or ROUNDING.get(str(found.dtype), 0.0)
        if rounded and apart <= share * float(np.abs(found).max()):
            return
        raise CheckFailedError(
            f"the {what} are not those that the scores lead to; they differ by up to {apart:.3g}"
        )
