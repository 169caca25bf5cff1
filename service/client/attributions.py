"""The arrays of an explanation, as its client has them."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Attributions:
    """What K outputs of a model owe to each pixel of one picture."""

    values: NDArray[np.float32]  # (H, W, C, K), positive where the pixel speaks for the output
    base_values: NDArray[np.floating]  # (K,)
    data: NDArray[np.float32]  # (H, W, C) in 0..255, the picture as the model saw it
    output_names: list[str]
    output_indices: list[int]
    standard_errors: NDArray[np.float32] | None  # (H, W, C, K); None: the method knows none
    players: NDArray[np.int32] | None  # (H, W), whose each pixel is; None: no regions


def read_npz(content: bytes) -> Attributions:
    """Read the arrays as the API sends them; nothing is unpickled."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Attributions(
            values=arrays["values"],
            base_values=arrays["base_values"],
            data=arrays["data"],
            output_names=arrays["output_names"].tolist(),
            output_indices=arrays["output_indices"].tolist(),
            standard_errors=arrays.get("standard_errors"),
            players=arrays.get("players"),
        )
