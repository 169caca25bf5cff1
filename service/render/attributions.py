"""The arrays of one explanation, checked once on construction."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from service.render.colours import Sums, channel_sums, region_sums
from service.render.errors import InvalidAttributionsError, InvalidOptionError
from service.render.names import disambiguate

NAMES = ("values", "base_values", "data", "output_names", "output_indices")
REGION_NAMES = ("regions", "region_values")  # may be absent

Unit = Literal["pixel", "region"]


@dataclass(frozen=True, eq=False)
class Attributions:
    """The credit of each pixel of one picture for K outputs of a model.

    `values` (H, W, C, K) float32, positive where the pixel speaks for the output; `base_values`
    (K,); `data` (H, W, C) float32 in 0..255 with C = 1 or 3; `output_names` and `output_indices`
    of length K. Where known, `regions` (H, W) or (H, W, C) numbers the region of each pixel, -1:
    none, and `region_values` (R, K) is the credit of each as a whole. Raises
    InvalidAttributionsError.
    """

    values: NDArray[np.float32]
    base_values: NDArray[np.float32]
    data: NDArray[np.float32]
    output_names: list[str]
    output_indices: list[int]
    regions: NDArray[np.integer] | None = None
    region_values: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        values, data = self.values, self.data
        if values.ndim != 4 or 0 in values.shape or values.shape[2] not in (1, 3):
            raise InvalidAttributionsError(
                f"values must be (H, W, 1 or 3, K); received {values.shape}"
            )
        if data.shape != values.shape[:3]:
            raise InvalidAttributionsError(
                f"data must be {values.shape[:3]} as values; received {data.shape}"
            )
        for name in ("base_values", "output_names", "output_indices"):
            if len(getattr(self, name)) != values.shape[3]:
                raise InvalidAttributionsError(
                    f"{name} must have one entry for each of the {values.shape[3]} outputs; "
                    f"received {len(getattr(self, name))}"
                )
        for name in ("values", "base_values", "data"):
            invalid = int((~np.isfinite(getattr(self, name))).sum())
            if invalid:
                raise InvalidAttributionsError(
                    f"{name} must be finite; received {invalid} NaN or infinite numbers"
                )

        regions, credit = self.regions, self.region_values
        if (regions is None) != (credit is None):
            raise InvalidAttributionsError("regions and region_values must be given together")
        if regions is None or credit is None:
            return
        if regions.shape not in (values.shape[:2], values.shape[:3]):
            raise InvalidAttributionsError(
                f"regions must be {values.shape[:2]} or {values.shape[:3]} as values; "
                f"received {regions.shape}"
            )
        if credit.shape != (len(credit), values.shape[3]) or not np.isfinite(credit).all():
            raise InvalidAttributionsError(
                f"region_values must be (R, {values.shape[3]}) and finite; received {credit.shape}"
            )
        if regions.min() < -1 or regions.max() >= len(credit):
            raise InvalidAttributionsError(
                f"regions must be in -1..{len(credit) - 1}; received {regions.min()}.."
                f"{regions.max()}"
            )

    def sums(self, unit: Unit) -> Sums:
        """Returns what a drawing colours: the credit of each pixel, or of the region it is in.

        Raises InvalidOptionError.
        """
        if unit == "pixel":
            return channel_sums(self.values)
        if self.regions is None or self.region_values is None:
            raise InvalidOptionError(
                "unit must be pixel: the explanation has no attributions of regions; "
                f"received {unit}"
            )
        return region_sums(self.regions, self.region_values)

    @property
    def names(self) -> list[str]:
        """Unique names of the outputs."""
        return disambiguate(self.output_names, self.output_indices)

    def within(self, left: int, top: int, right: int, bottom: int) -> "Attributions":
        """Returns the attributions inside a box of the picture, right and bottom exclusive.

        Raises InvalidOptionError.
        """
        height, width = self.data.shape[:2]
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            box = left, top, right, bottom
            raise InvalidOptionError(
                f"a box must lie within {width} x {height} pixels; received {box}"
            )
        rows, columns = slice(top, bottom), slice(left, right)
        return replace(
            self,
            values=self.values[rows, columns],
            data=self.data[rows, columns],
            regions=None if self.regions is None else self.regions[rows, columns],
        )

    def narrow(self, positions: Sequence[int]) -> "Attributions":
        """Returns the attributions for the outputs at these positions (0..K-1), in this order.

        Raises InvalidOptionError.
        """
        count = len(self.output_names)
        if not positions or not all(0 <= position < count for position in positions):
            raise InvalidOptionError(
                f"positions must name one or more of 0..{count - 1}; received {list(positions)}"
            )
        kept = list(positions)
        return Attributions(
            values=self.values[..., kept],
            base_values=self.base_values[kept],
            data=self.data,
            output_names=[self.output_names[position] for position in kept],
            output_indices=[self.output_indices[position] for position in kept],
            regions=self.regions,
            region_values=None if self.region_values is None else self.region_values[:, kept],
        )


def load_attributions(npz: bytes) -> Attributions:
    """Reads the arrays as the worker stored them; unpickles nothing.

    Raises InvalidAttributionsError.
    """
    try:
        with np.load(io.BytesIO(npz), allow_pickle=False) as archive:
            if not isinstance(archive, NpzFile):
                raise InvalidAttributionsError("a single array; an npz of several is accepted")
            kept = [*NAMES, *(name for name in REGION_NAMES if name in archive)]
            arrays = {name: archive[name] for name in kept}
    except KeyError as error:
        raise InvalidAttributionsError(
            f"{error.args[0]}; accepted are {', '.join(NAMES)}"
        ) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidAttributionsError(f"not a readable npz: {error}") from error
    return attributions_of(arrays)


def attributions_of(arrays: Mapping[str, NDArray[Any]]) -> Attributions:
    """Checks arrays named as in NAMES. Raises InvalidAttributionsError."""
    missing = [name for name in NAMES if name not in arrays]
    if missing:
        raise InvalidAttributionsError(f"{missing[0]} is missing; accepted are {', '.join(NAMES)}")
    return Attributions(
        values=arrays["values"].astype(np.float32, copy=False),
        base_values=arrays["base_values"].astype(np.float32, copy=False),
        data=arrays["data"].astype(np.float32, copy=False),
        output_names=[str(name) for name in arrays["output_names"]],
        output_indices=[int(index) for index in arrays["output_indices"]],
        **{name: arrays[name] for name in REGION_NAMES if name in arrays},
    )
