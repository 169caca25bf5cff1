"""The arrays of an explanation or of a whole batch."""

import io
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.schemas.fingerprint import MODEL_ENTRIES, ModelParts, ModelRef


@dataclass(frozen=True, eq=False)
class Attributions:
    """The attributions of K outputs of a model to the pixels of one picture."""

    values: NDArray[np.float32]  # (H, W, C, K), positive where the pixel raises the output
    base_values: NDArray[np.floating]  # (K,)
    data: NDArray[np.float32]  # (H, W, C) in 0..255, the picture as the model saw it
    output_names: list[str]
    output_indices: list[int]
    standard_errors: NDArray[np.float32] | None  # (H, W, C, K); None: the method gives none
    players: NDArray[np.int32] | None  # (H, W), of each pixel; -1: none; None: pixels play
    model: ModelRef | None  # None: computed by an earlier version that did not record it
    regions: NDArray[np.int32] | None = None  # (H, W) or (H, W, C); -1: none
    region_players: NDArray[np.int64] | None = None  # (R,), number of players in each
    region_values: NDArray[np.float64] | None = None  # (R, K); None: too many regions
    region_standard_errors: NDArray[np.float64] | None = None  # (R, K)
    region_low: NDArray[np.float64] | None = None  # (R, K), of the 95 % interval
    region_high: NDArray[np.float64] | None = None  # (R, K)


@dataclass(frozen=True, eq=False)
class BatchAttributions:
    """The attributions of the N pictures of a batch whose explanations succeeded."""

    values: NDArray[np.float32]  # (N, H, W, C, K)
    base_values: NDArray[np.floating]  # (N, K)
    data: NDArray[np.float32]  # (N, H, W, C)
    output_names: list[list[str]]  # (N, K); may differ between pictures
    output_indices: list[list[int]]
    standard_errors: NDArray[np.float32] | None  # (N, H, W, C, K)
    players: NDArray[np.int32] | None  # (N, H, W)
    models: list[ModelRef] | None  # the model of each
    ids: list[str]  # of the explanations
    positions: list[int]  # of their pictures in the upload, from 0
    regions: NDArray[np.int32] | None = None  # (N, H, W) or (N, H, W, C)
    region_counts: NDArray[np.int64] | None = None  # (N,); R is the largest
    region_players: NDArray[np.int64] | None = None  # (N, R); 0 past a picture's count
    region_values: NDArray[np.float64] | None = None  # (N, R, K); NaN there, as are those below
    region_standard_errors: NDArray[np.float64] | None = None  # (N, R, K)
    region_low: NDArray[np.float64] | None = None  # (N, R, K)
    region_high: NDArray[np.float64] | None = None  # (N, R, K)


def read_npz(content: bytes) -> Attributions:
    """Read the npz of an explanation; never unpickles."""
    found, models = _arrays(content)
    return Attributions(**_known(Attributions, found), model=models[0] if models else None)


def read_batch_npz(content: bytes) -> BatchAttributions:
    """Read the npz of a batch; never unpickles."""
    found, models = _arrays(content)
    return BatchAttributions(**_known(BatchAttributions, found), models=models)


def _known(kind: type[Attributions] | type[BatchAttributions], arrays: dict[str, Any]) -> Any:
    """Pick the fields of `kind`; None for an array that is absent."""
    names = [each.name for each in fields(kind) if not each.name.startswith("model")]
    return {name: arrays.get(name) for name in names}


def _arrays(content: bytes) -> tuple[dict[str, Any], list[ModelRef] | None]:
    """Read the arrays, names, indices, ids and positions as lists; and the models, if stored."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays: dict[str, Any] = dict(archive)
    listed = ("output_names", "output_indices", "ids", "positions")
    lists = {name: arrays[name].tolist() for name in listed if name in arrays}
    stored = [np.atleast_1d(arrays.pop(name)).tolist() for name in MODEL_ENTRIES if name in arrays]
    models = [
        ModelRef(name=name, fingerprint=fingerprint, parts=ModelParts.model_validate_json(parts))
        for name, fingerprint, parts in zip(*stored, strict=True)
    ]
    return arrays | lists, models or None
