"""Computes the arrays of an explanation again from its evidence, without the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.schemas import requests
from service.schemas.evidence import Evidence
from service.schemas.requests import ResolvedSettings
from service.schemas.results import Outcome
from worker.adapters.engine_request import engine_request
from worker.adapters.evidence import read_transcript
from worker.engine.evidence.replay import replay
from worker.engine.evidence.transcript import Transcript
from worker.engine.game.superpixels import LabelMap, Pixels, make_players
from worker.engine.methods.protocol import Game
from worker.engine.metrics.faithfulness import FaithfulnessCurve

_UNUSED = requests.Pixels(kind="pixels")


@dataclass(frozen=True)
class Recomputed:
    """Arrays as `pack_attributions` stores them, and the curves.

    values, standard_errors: (H, W, C, K) float32. region_values: (R, K) float64; None where the
    result lists no regions.
    """

    values: NDArray[np.float32]
    standard_errors: NDArray[np.float32] | None
    region_values: NDArray[np.float64] | None
    curves: tuple[FaithfulnessCurve, ...]


def recompute(
    settings: ResolvedSettings,
    outcome: Outcome,
    evidence: Evidence,
    arrays: Mapping[str, NDArray[Any]],
) -> Recomputed:
    """Recompute; arrays: those of the npz, of which `data` and `players` are read.

    Raises TranscriptError where evidence and settings do not belong together, ValueError where a
    part of the evidence cannot be read.
    """
    place = outcome.placement
    inside = slice(place.top, place.bottom), slice(place.left, place.right)
    picture = np.asarray(arrays["data"][inside], np.float32)
    # The outputs are those of the evidence, and players those of the arrays
    any_output = requests.Outputs(top=1)
    request = engine_request(
        settings.model_copy(update={"outputs": any_output, "superpixels": _UNUSED}), []
    )
    match settings.superpixels:
        case requests.Pixels() as pixels:
            players = make_players(Pixels(pixels.channels), picture)
        case _:
            players = make_players(LabelMap(arrays["players"][inside]), picture)
    game = Game(
        players,
        base_values=np.array([output.base_value for output in outcome.outputs]),
        scores=np.array([output.score for output in outcome.outputs]),
    )
    curves = read_transcript(evidence.curves) if evidence.curves else Transcript()
    again = replay(
        game, request, read_transcript(evidence.transcript), curves, partial=outcome.partial
    )
    attribution = again.attribution
    (H, W), rest = arrays["data"].shape[:2], [(0, 0), (0, 0)]
    around = [(place.top, H - place.bottom), (place.left, W - place.right), *rest]
    errors = attribution.standard_errors
    return Recomputed(
        values=np.pad(attribution.values.astype(np.float32), around),
        standard_errors=None if errors is None else np.pad(errors.astype(np.float32), around),
        region_values=attribution.regions.values if "region_values" in arrays else None,
        curves=again.curves,
    )
