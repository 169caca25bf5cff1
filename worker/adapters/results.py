"""Converts the engine's result into the outcome that clients read and the files that are stored."""

from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.images.model_view import ModelView
from service.infra.artifacts import ArtifactSection
from service.infra.result_arrays import by_output, pack_arrays
from service.schemas.fingerprint import COMPARED_ENTRIES, MODEL_ENTRIES
from service.schemas.regions import MAX_NUMBERS, MAX_REGIONS
from service.schemas.results import (
    Curve,
    Faithfulness,
    MetricArea,
    Outcome,
    OutputResult,
    Runtime,
    Timings,
)
from service.schemas.warnings import ResultWarning
from worker.engine.arrays import Pictures
from worker.engine.explanation import ExplanationResult
from worker.engine.interactions import Interactions
from worker.engine.predictor import Predictor
from worker.models.scoring_models import ScoringModels


def pack_attributions(
    explained: ExplanationResult,
    pixels: Pictures,
    view: ModelView,
    scoring: ScoringModels,
) -> tuple[bytes, ArtifactSection]:
    """Pack the npz that clients download; return it and the place of its index (`pack_arrays`).

    Always: values (H, W, C, K) float32, base_values (K,), data (H, W, C), output_names and
    output_indices (K,). Where known: standard_errors (H, W, C, K), players (H, W) int32. Padding
    around the photo has no credit and the player -1. Where regions are few enough for a table:
    regions (H, W) int32, or (H, W, C) where channels are separate; for each region region_players
    (R,), region_values (R, K) and, where known, region_standard_errors, region_low and region_high
    (R, K), the bounds of 95 % intervals. Where wanted: interaction_pairs (P, 2), interaction_values
    and interaction_standard_errors (P, K), alone_values and alone_standard_errors (R, K), and where
    known the bounds interaction_low and _high, alone_low and _high. The model's name, fingerprint
    and parts (JSON) are text arrays (), and so are those of the compared model.
    """
    attribution = explained.attribution
    regions = attribution.regions if region_count(explained) is not None else None
    interval = regions.interval if regions else None
    arrays: dict[str, NDArray[Any] | None] = {
        "values": attribution.values,
        "standard_errors": attribution.standard_errors,
        "base_values": attribution.base_values,
        "data": pixels,
        "output_names": np.array([scoring.labels[index] for index in explained.outputs]),
        "output_indices": explained.outputs,
        "players": attribution.players,
        "regions": regions.labels if regions else None,
        "region_players": regions.players if regions else None,
        "region_values": regions.values if regions else None,
        "region_standard_errors": regions.errors if regions else None,
        "region_low": interval.low if interval else None,
        "region_high": interval.high if interval else None,
    }
    if attribution.interactions:
        arrays |= interaction_arrays(attribution.interactions)
    for names, ref in zip((MODEL_ENTRIES, COMPARED_ENTRIES), scoring.refs, strict=False):
        parts = ref.parts.model_dump_json() if ref.parts else ""
        told = (ref.name, ref.fingerprint, parts)
        arrays |= {name: np.array(text) for name, text in zip(names, told, strict=True)}
    (H, W), place = pixels.shape[:2], view.placement
    around = (place.top, H - place.bottom), (place.left, W - place.right)
    if np.any(around):
        for name, nothing in (
            ("values", 0.0),
            ("standard_errors", 0.0),
            ("players", -1),
            ("regions", -1),
        ):
            if (array := arrays[name]) is not None:
                widths = (*around, *[(0, 0)] * (array.ndim - 2))
                arrays[name] = np.pad(array, widths, constant_values=nothing)
    return pack_arrays({name: array for name, array in arrays.items() if array is not None})


def interaction_arrays(found: Interactions) -> dict[str, NDArray[Any] | None]:
    """Return the arrays of interactions by their names in the npz."""
    interval, alone = found.interval, found.alone_interval
    return {
        "interaction_pairs": found.pairs,
        "interaction_values": found.values,
        "interaction_standard_errors": found.errors,
        "interaction_low": interval.low if interval else None,
        "interaction_high": interval.high if interval else None,
        "alone_values": found.alone,
        "alone_standard_errors": found.alone_errors,
        "alone_low": alone.low if alone else None,
        "alone_high": alone.high if alone else None,
    }


def region_count(explained: ExplanationResult) -> int | None:
    """Return how many regions the result lists; None where they are too many for a table."""
    count, outputs = len(explained.attribution.regions), len(explained.outputs)
    few = count <= MAX_REGIONS and count * outputs <= MAX_NUMBERS
    return count if few else None


def pack_curves(explained: ExplanationResult, labels: list[str]) -> bytes:
    """Serialize the faithfulness curves as clients receive them, without the explanation's id."""
    curves = [
        Curve(
            **area.model_dump(),
            x=curve.x.tolist(),
            y=curve.y.tolist(),
            baseline=curve.baseline.tolist(),
        )
        for area, curve in zip(_areas(explained, labels), explained.faithfulness, strict=True)
    ]
    return Faithfulness(curves=curves).model_dump_json().encode()


def make_outcome(
    explained: ExplanationResult,
    scoring: ScoringModels,
    *,
    partial: bool,
    view: ModelView,
    timings: Timings,
    warnings: list[ResultWarning],
) -> Outcome:
    """Build the outcome for the explanation's document."""
    attribution = explained.attribution
    # Sums are over the stored float32 values, as a client would sum
    sums = np.array([each.sum(dtype=np.float64) for each in by_output(attribution.values)])  # (K,)
    gaps = attribution.scores - attribution.base_values - sums
    fidelity, even = attribution.held_out_fidelity, attribution.even_energy
    described = [scoring.describe(int(index)) for index in explained.outputs]
    outputs = [
        OutputResult(
            index=int(index),
            label=scoring.labels[index],
            of=described[k][0],
            class_index=described[k][1],
            score=float(attribution.scores[k]),
            base_value=float(attribution.base_values[k]),
            attribution_sum=float(sums[k]),
            efficiency_gap=float(gaps[k]),
            sparseness=float(attribution.sparseness[k]),
            held_out_fidelity=None if fidelity is None else float(fidelity[k]),
            even_energy=None if even is None else float(even[k]),
        )
        for k, index in enumerate(explained.outputs)
    ]
    compared: dict[str, Any] = {}
    if scoring.pairing:
        classes = dict.fromkeys(place for _, place in described)
        compared = {
            "compared": scoring.refs[1],
            "compared_classes": [int(scoring.pairing.counterparts[place]) for place in classes],
            "compared_runtime": _runtime(scoring.models[1].predictor),
        }
    return Outcome(
        model=scoring.refs[0],
        **compared,
        partial=partial,
        solution_concept=attribution.solution_concept,
        evaluations=attribution.evaluations,
        players=explained.players,
        outputs=outputs,
        region_count=region_count(explained),
        unresolved=attribution.unresolved,
        efficiency_gap=max(abs(output.efficiency_gap) for output in outputs),
        target_reached=explained.target_reached,
        warnings=warnings,
        metrics=_areas(explained, scoring.labels),
        crop=view.crop,
        placement=view.placement,
        runtime=_runtime(scoring.models[0].predictor),
        timings=timings,
    )


def _areas(explained: ExplanationResult, labels: list[str]) -> list[MetricArea]:
    indices = [int(explained.outputs[curve.output]) for curve in explained.faithfulness]
    return [
        MetricArea(
            metric=curve.metric,
            output=index,
            label=labels[index],
            area=curve.area,
            baseline_area=curve.baseline_area,
        )
        for index, curve in zip(indices, explained.faithfulness, strict=True)
    ]


def _runtime(predictor: Predictor) -> Runtime:
    return Runtime(
        backend=predictor.backend,
        device=predictor.device,
        dtype=predictor.dtype,
        versions=_versions(predictor.backend),
    )


@cache
def _versions(backend: str) -> dict[str, str]:
    """Return the versions of the packages that affect the values, Pillow by its pixels."""
    runs = {"openvino": ["openvino"], "jax": ["jax", "jaxlib"]}.get(backend, [])
    packages = ("opencv-python-headless", "pillow", "scikit-image", "numpy", "scipy", *runs)
    return {package: version(package) for package in ("shapshot", "tensorflow", "keras", *packages)}
