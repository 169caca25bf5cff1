"""Computes the arrays of an explanation again from its evidence, without the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.infra.packed_arrays import unpack
from service.schemas import requests
from service.schemas.evidence import Evidence
from service.schemas.requests import ResolvedSettings
from service.schemas.results import Outcome
from worker.adapters.engine_request import engine_request
from worker.adapters.evidence import read_transcript
from worker.adapters.results import interaction_arrays
from worker.engine.arrays import Scores
from worker.engine.evidence.replay import replay
from worker.engine.evidence.transcript import Transcript
from worker.engine.game.expected_importance import WIDEST
from worker.engine.game.players import Players
from worker.engine.game.superpixels import LabelMap, Pixels, make_players
from worker.engine.methods.protocol import Game
from worker.engine.metrics.faithfulness import FaithfulnessCurve

MAX_EVALS = 1_000_000  # methods plan for as many as were asked for
_UNUSED = requests.Pixels(kind="pixels")


@dataclass(frozen=True)
class Recomputed:
    """Arrays as `pack_attributions` stores them, and the curves.

    values, standard_errors: (H, W, C, K) float32. region_values: (R, K) float64; None where the
    result lists no regions. interactions: by name, those that there are.
    """

    values: NDArray[np.float32]
    standard_errors: NDArray[np.float32] | None
    region_values: NDArray[np.float64] | None
    interactions: Mapping[str, NDArray[Any]]
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
    if settings.max_evals > MAX_EVALS:
        raise ValueError(f"max_evals is {settings.max_evals}; the most are {MAX_EVALS}")
    if not outcome.outputs:
        raise ValueError("it has no output")
    place, (H, W) = outcome.placement, arrays["data"].shape[:2]
    if not (0 <= place.top < place.bottom <= H and 0 <= place.left < place.right <= W):
        raise ValueError(f"the placement {place} is not within the model's picture of {H} x {W}")
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
        case _ if "players" not in arrays:
            raise ValueError("the arrays have no players")
        case _:
            players = make_players(LabelMap(arrays["players"][inside]), picture)
    if len(players) != outcome.players:
        raise ValueError(f"there are {len(players)} players; the record says {outcome.players}")
    boxes = settings.method == "partition" and not players.superpixels
    if evidence.transcript.form != ("boxes" if boxes else "players"):
        raise ValueError(f"its coalitions are not of the form {evidence.transcript.form}")
    game = Game(
        players,
        base_values=np.array([output.base_value for output in outcome.outputs]),
        scores=np.array([output.score for output in outcome.outputs]),
        expected=_expected(evidence, players),
        compared=settings.compare_with is not None,
    )
    curves = read_transcript(evidence.curves) if evidence.curves else Transcript()
    again = replay(
        game, request, read_transcript(evidence.transcript), curves, partial=outcome.partial
    )
    attribution = again.attribution
    if not outcome.partial and attribution.evaluations != outcome.evaluations:
        raise ValueError(
            f"there were {attribution.evaluations} evaluations; the record says "
            f"{outcome.evaluations}"
        )
    around = [(place.top, H - place.bottom), (place.left, W - place.right), (0, 0), (0, 0)]
    errors, pairs = attribution.standard_errors, attribution.interactions
    return Recomputed(
        values=np.pad(attribution.values.astype(np.float32), around),
        standard_errors=None if errors is None else np.pad(errors.astype(np.float32), around),
        region_values=attribution.regions.values if "region_values" in arrays else None,
        interactions={
            name: array
            for name, array in (interaction_arrays(pairs) if pairs else {}).items()
            if array is not None
        },
        curves=again.curves,
    )


def _expected(evidence: Evidence, players: Players) -> Scores | None:
    if evidence.expected is None:
        return None
    expected = unpack(evidence.expected)
    accepted = (expected.dtype, expected.shape) == (np.dtype("<f8"), (len(players),))
    if not accepted or not players.superpixels or not (np.abs(expected) <= WIDEST).all():
        raise ValueError(
            f"what is expected of {len(players)} players is {expected.dtype} of shape "
            f"{expected.shape}; it must be float64, one for each superpixel, within -{WIDEST} and "
            f"{WIDEST}"
        )
    return expected.astype(np.float64)
