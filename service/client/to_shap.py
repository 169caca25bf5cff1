"""Converts attributions to a `shap.Explanation`, as `shap.image_plot` takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from service.client.attributions import Attributions, BatchAttributions

if TYPE_CHECKING:
    import shap


def to_shap(
    results: Attributions | BatchAttributions | Sequence[Attributions],
) -> shap.Explanation:
    """Convert one picture, N or a batch: values (N, H, W, C, K), base values (N, K), and data.

    Numbers are float64 as in shap; `data`, (N, H, W, C), is uint8, as shap's plot draws floats
    above 1 as white.
    Raises ValueError if the pictures' shapes differ, ImportError if shap is not installed.
    """
    try:
        import shap
    except ModuleNotFoundError as error:
        if error.name != "shap":
            raise
        raise ImportError("to_shap needs shap, which is not installed: pip install shap") from error
    if isinstance(results, Attributions):
        rows = [results]
    else:
        rows = results.rows() if isinstance(results, BatchAttributions) else list(results)
    shapes = list(dict.fromkeys(row.values.shape for row in rows))
    if len(shapes) != 1:
        raise ValueError(
            "to_shap stacks pictures of one height, width, number of channels and of outputs; "
            f"received {shapes or 'none'}: call to_shap on each"
        )
    if len(rows) == 1:
        return _stacked(shap.Explanation, rows, rows[0].output_names)
    # shap 0.51 reads names of shape (C, K) as those of C x K outputs, so N = C pictures get another
    # row until the names are read. (It misreads them again when it copies for slicing.)
    padded = [*rows, rows[0]] if len(rows) == rows[0].values.shape[2] else rows
    names = np.array([row.output_names for row in padded])  # (N, K): above every row of a plot
    stacked = _stacked(shap.Explanation, padded, names)
    return stacked if padded is rows else stacked[: len(rows)]


def _stacked(
    explanation: Any,
    rows: Sequence[Attributions],
    names: list[str] | NDArray[np.str_],
) -> shap.Explanation:
    return explanation(
        values=np.stack([row.values for row in rows]).astype(np.float64),
        base_values=np.stack([row.base_values for row in rows]).astype(np.float64),
        data=np.stack([row.data for row in rows]).round().astype(np.uint8),
        output_names=names,
    )
