"""The strongest interactions of pairs of regions."""

from collections.abc import Sequence

import numpy as np

from service.api.results import artifacts
from service.api.services import ProcessServices
from service.infra.artifact_store import DamagedArtifactError
from service.infra.result_arrays import Arrays
from service.jobs.records import State
from service.schemas.regions import Interaction
from service.schemas.results import Outcome, OutputResult

NAMES = ("interaction_pairs", "interaction_values", "interaction_standard_errors")
BOUNDS = ("interaction_low", "interaction_high")


def has_interactions(state: State) -> bool:
    """Returns whether interactions were requested."""
    return state.spec is None or state.spec.settings.interactions == 2


def read_interactions(
    services: ProcessServices, state: State, outcome: Outcome, kept: Sequence[int], most: int
) -> list[Interaction] | None:
    """Returns the strongest pairs of each output, `most` at a time; None: none were requested.

    Blocking. Raises ApiError, StoreError.
    """
    if not has_interactions(state):
        return None
    arrays = artifacts.load_arrays(services, state, kept, names=(*NAMES, *BOUNDS))
    if NAMES[0] not in arrays:
        return None
    with artifacts.reading(services, state, "result"):
        if not np.isfinite(arrays["interaction_values"]).all():
            raise DamagedArtifactError(f"interactions of {state.id} are not finite")
    return [
        each
        for column, position in enumerate(kept)
        for each in _strongest(arrays, column, outcome.outputs[position], most)
    ]


def strongest(arrays: Arrays, column: int, most: int) -> list[int]:
    """Returns the rows of the largest absolute values of an output, the largest first."""
    sizes = np.abs(arrays["interaction_values"][:, column])
    rows: list[int] = np.argsort(-sizes, kind="stable")[:most].tolist()
    return rows


def _strongest(arrays: Arrays, column: int, output: OutputResult, most: int) -> list[Interaction]:
    low, high = (arrays[name][:, column] if name in arrays else None for name in BOUNDS)
    return [
        Interaction(
            regions=tuple(arrays["interaction_pairs"][row].tolist()),
            output=output.index,
            label=output.label,
            value=float(arrays["interaction_values"][row, column]),
            standard_error=float(arrays["interaction_standard_errors"][row, column]),
            low=None if low is None else float(low[row]),
            high=None if high is None else float(high[row]),
            rank=rank,
        )
        for rank, row in enumerate(strongest(arrays, column, most), 1)
    ]
