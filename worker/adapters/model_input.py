"""Fits an upright picture of any size to a model's input, and records the part it shows."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.images.model_view import ModelView, model_view
from service.schemas.requests import Fit
from worker.engine.backends.pair import resize
from worker.engine.errors import SuperpixelsError

Whole = TypeVar("Whole", bound=np.integer[Any])


class ChannelsError(ValueError):
    """The model takes neither 1 nor 3 channels."""


def fit_picture(
    pixels: NDArray[np.uint8], shape: tuple[int, int, int], *, fit: Fit
) -> tuple[NDArray[np.float32], ModelView]:
    """Resize an RGB picture (H, W, 3) uint8 to a model's `shape` (h, w, c), or to fit within it.

    A model with one channel gets grey by ITU-R 601, one with three gets RGB. Returns float32 whole
    levels 0..255, because inpainting maskers work in 8 bits, and the ModelView. The picture is
    (h, w, c), or for "pad" the smaller size of the view's placement. Raises ChannelsError.
    """
    (H, W), c = pixels.shape[:2], shape[2]
    seen = model_view((H, W), shape[:2], fit=fit)
    box = seen.crop
    part = pixels[box.top : box.bottom, box.left : box.right]
    fitted = np.asarray(resize(part, *seen.size), np.uint8)  # (h, w, 3)
    if c == 1:
        fitted = np.asarray(Image.fromarray(fitted).convert("L"))[..., np.newaxis]
    elif c != 3:
        raise ChannelsError(f"the model takes {c} channels; accepted are 1 (grey) and 3 (RGB)")
    return fitted.astype(np.float32), seen


def fit_labels(
    labels: NDArray[Whole],
    photo: tuple[int, int],
    shape: tuple[int, int, int],
    *,
    fit: Fit,
) -> NDArray[Whole]:
    """Resize a label map to the size that `fit_picture` gives its photo.

    labels: (h, w) at the size of the model's picture, used unchanged; or (H, W) at the size of the
    upright photo, `photo`, where each pixel of the result takes the label at its centre. Raises
    SuperpixelsError for other sizes.
    """
    (H, W), (h, w) = photo, shape[:2]
    seen = model_view(photo, (h, w), fit=fit)
    if labels.shape == (h, w):
        placed = seen.placement
        return labels[placed.top : placed.bottom, placed.left : placed.right]
    if labels.shape != (H, W):
        raise SuperpixelsError(
            f"the label map is of shape {labels.shape}; accepted are {(H, W)}, the rows and "
            f"columns of the upright picture, and {(h, w)}, those of the model's input"
        )
    box, (h, w) = seen.crop, seen.size
    rows, columns = _centres(box.top, box.bottom, h), _centres(box.left, box.right, w)
    return labels[np.ix_(rows, columns)]


def _centres(start: int, stop: int, count: int) -> NDArray[np.int64]:
    """Return the pixels at the centres of `count` equal parts of [start, stop): (count,)."""
    return start + (2 * np.arange(count) + 1) * (stop - start) // (2 * count)
