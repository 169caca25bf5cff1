"""The arrays of an explanation or of a whole batch."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.schemas.fingerprint import COMPARED_ENTRIES, MODEL_ENTRIES, ModelParts, ModelRef


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
    compared: ModelRef | None = None  # the model that it is compared with
    regions: NDArray[np.int32] | None = None  # (H, W) or (H, W, C); -1: none
    region_players: NDArray[np.int64] | None = None  # (R,), number of players in each
    region_values: NDArray[np.float64] | None = None  # (R, K); None: too many regions
    region_standard_errors: NDArray[np.float64] | None = None  # (R, K)
    region_low: NDArray[np.float64] | None = None  # (R, K), of the 95 % interval
    region_high: NDArray[np.float64] | None = None  # (R, K)
    interaction_pairs: NDArray[np.int64] | None = None  # (P, 2), regions; None: not requested
    interaction_values: NDArray[np.float64] | None = None  # (P, K), Shapley interaction indices
    interaction_standard_errors: NDArray[np.float64] | None = None  # (P, K)
    interaction_low: NDArray[np.float64] | None = None  # (P, K), of the 95 % interval
    interaction_high: NDArray[np.float64] | None = None  # (P, K)
    alone_values: NDArray[np.float64] | None = None  # (R, K), less half of each interaction
    alone_standard_errors: NDArray[np.float64] | None = None  # (R, K)
    alone_low: NDArray[np.float64] | None = None  # (R, K)
    alone_high: NDArray[np.float64] | None = None  # (R, K)


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

    def rows(self) -> list[Attributions]:
        """Return the attributions of each picture, without its regions."""
        return [
            Attributions(
                values=self.values[row],
                base_values=self.base_values[row],
                data=self.data[row],
                output_names=self.output_names[row],
                output_indices=self.output_indices[row],
                standard_errors=None if self.standard_errors is None else self.standard_errors[row],
                players=None if self.players is None else self.players[row],
                model=None if self.models is None else self.models[row],
            )
            for row in range(len(self.ids))
        ]


def read_npz(content: bytes) -> Attributions:
    """Read the npz of an explanation; never unpickles."""
    found, models, compared = _arrays(content)
    return Attributions(
        **_known(Attributions, found),
        model=models[0] if models else None,
        compared=compared[0] if compared else None,
    )


def read_batch_npz(content: bytes) -> BatchAttributions:
    """Read the npz of a batch; never unpickles."""
    found, models, _ = _arrays(content)
    return BatchAttributions(**_known(BatchAttributions, found), models=models)


def _known(kind: type[Attributions] | type[BatchAttributions], arrays: dict[str, Any]) -> Any:
    """Pick the fields of `kind`; None for an array that is absent."""
    names = [each.name for each in fields(kind) if not each.name.startswith(("model", "compared"))]
    return {name: arrays.get(name) for name in names}


def _arrays(
    content: bytes,
) -> tuple[dict[str, Any], list[ModelRef] | None, list[ModelRef] | None]:
    """Read the arrays, names, indices, ids and positions as lists; and the models, if stored."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays: dict[str, Any] = dict(archive)
    listed = ("output_names", "output_indices", "ids", "positions")
    lists = {name: arrays[name].tolist() for name in listed if name in arrays}
    models, compared = (_models(arrays, names) for names in (MODEL_ENTRIES, COMPARED_ENTRIES))
    return arrays | lists, models, compared


def _models(arrays: dict[str, Any], names: Sequence[str]) -> list[ModelRef] | None:
    """Take the models stored under these names out of the arrays; None: there are none."""
    stored = [np.atleast_1d(arrays.pop(name)).tolist() for name in names if name in arrays]
    models = [
        ModelRef(name=name, fingerprint=fingerprint, parts=ModelParts.model_validate_json(parts))
        for name, fingerprint, parts in zip(*stored, strict=True)
    ]
    return models or None


def merged(parts: Mapping[int, BatchAttributions]) -> BatchAttributions:
    """Stack the arrays of several batches; `positions` count over all of them.

    parts: by the position of each batch's first picture. An array that some batch lacks is None.
    Raises ValueError if the shapes of the pictures differ.
    """
    batches = list(parts.values())
    shapes = list(dict.fromkeys(part.values.shape[1:] for part in batches))
    if len(shapes) != 1:
        raise ValueError(
            "only pictures of one height, width, number of channels and of outputs are stacked; "
            f"received {shapes or 'none'}: get the arrays of each batch"
        )
    found: dict[str, Any] = {
        name: [each for part in batches for each in getattr(part, name)]
        for name in ("output_names", "output_indices", "ids")
    }
    found["positions"] = [start + each for start, part in parts.items() for each in part.positions]
    found["models"] = None
    if all(part.models for part in batches):
        found["models"] = [each for part in batches for each in part.models or ()]
    for name in ("values", "base_values", "data"):
        found[name] = np.concatenate([getattr(part, name) for part in batches])
    for name, fill in PADDING:
        found[name] = _stacked([getattr(part, name) for part in batches], fill)
    return BatchAttributions(**found)


# Arrays that a batch may lack, and their fill beyond a picture's own regions
PADDING = (
    ("standard_errors", np.nan),
    ("players", -1),
    ("regions", -1),
    ("region_counts", 0),
    ("region_players", 0),
    ("region_values", np.nan),
    ("region_standard_errors", np.nan),
    ("region_low", np.nan),
    ("region_high", np.nan),
)


def _stacked(arrays: Sequence[NDArray[Any] | None], fill: float) -> NDArray[Any] | None:
    """Concatenate, after padding each to the largest number of regions; None if one is absent."""
    present = [array for array in arrays if array is not None]
    if len(present) < len(arrays) or len({array.ndim for array in present}) != 1:
        return None
    largest = np.max([array.shape[1:] for array in present], axis=0)
    padded = []
    for array in present:
        missing = [(0, most - size) for most, size in zip(largest, array.shape[1:], strict=True)]
        padded.append(np.pad(array, [(0, 0), *missing], constant_values=fill))
    return np.concatenate(padded)
