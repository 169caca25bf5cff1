"""An upright picture of any size -> the picture a model sees, and which part of the photo it is."""

from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.outcome import Crop
from worker.engine.errors import SuperpixelsError

Fit = Literal["crop", "stretch"]
Whole = TypeVar("Whole", bound=np.integer[Any])


class ChannelsError(ValueError):
    """A model of neither 1 nor 3 channels."""


def fit_picture(
    pixels: NDArray[np.uint8], shape: tuple[int, int, int], *, fit: Fit
) -> tuple[NDArray[np.float32], Crop]:
    """Bring an RGB picture (H, W, 3) to a model's `shape` (h, w, c).

    fit: "crop" keeps the largest centred part of the model's aspect ratio; "stretch" keeps all and
    distorts it. One channel is grey by ITU-R 601, three are RGB. Returns (h, w, c) float32 of whole
    levels 0..255, because maskers inpaint in 8 bits: what is explained is a true picture. The Crop
    is in pixels of `pixels`. Raises ChannelsError.
    """
    h, w, c = shape
    box = _kept(pixels.shape[0], pixels.shape[1], aspect=(h, w), fit=fit)
    part = pixels[box.top : box.bottom, box.left : box.right]
    fitted = _with_channels(_resize(part, h, w), c)  # (h, w, c)
    return fitted.astype(np.float32), box


def fit_labels(
    labels: NDArray[Whole],
    photo: tuple[int, int],
    shape: tuple[int, int, int],
    *,
    fit: Fit,
) -> NDArray[Whole]:
    """Bring a label map to a model's `shape` (h, w, c), as `fit_picture` brings its photo: (h, w).

    labels: of the size (h, w), which are taken as they are, or of the upright photo's size (H, W),
    `photo`, of which each pixel takes the label at its centre. Raises SuperpixelsError for others.
    """
    (H, W), (h, w) = photo, shape[:2]
    if labels.shape == (h, w):
        return labels
    if labels.shape != (H, W):
        raise SuperpixelsError(
            f"the label map is of shape {labels.shape}; accepted are {(H, W)}, rows and columns of "
            f"the upright picture, and {(h, w)}, those of the model's input"
        )
    box = _kept(H, W, aspect=(h, w), fit=fit)
    rows, columns = _centres(box.top, box.bottom, h), _centres(box.left, box.right, w)
    return labels[np.ix_(rows, columns)]


def _centres(start: int, stop: int, count: int) -> NDArray[np.int64]:
    """The pixels of [start, stop) at the centres of `count` equal parts."""
    return start + (2 * np.arange(count) + 1) * (stop - start) // (2 * count)


def _kept(H: int, W: int, *, aspect: tuple[int, int], fit: Fit) -> Crop:
    """The part of a photo of H x W pixels that a model of the aspect (h, w) sees."""
    if fit == "crop":
        return _centred(H, W, aspect=aspect)
    return Crop(left=0, top=0, right=W, bottom=H)


def _centred(H: int, W: int, *, aspect: tuple[int, int]) -> Crop:
    """The largest centred box of H x W whose sides are as `aspect` (h, w), to whole pixels."""
    h, w = aspect
    height = min(H, max(1, round(W * h / w)))
    width = min(W, max(1, round(H * w / h)))
    top, left = (H - height) // 2, (W - width) // 2
    return Crop(left=left, top=top, right=left + width, bottom=top + height)


def _resize(pixels: NDArray[np.uint8], h: int, w: int) -> NDArray[np.uint8]:
    """Average areas along the sides that shrink, then interpolate along those that grow."""
    H, W = pixels.shape[:2]
    smaller = cv2.resize(pixels, (min(W, w), min(H, h)), interpolation=cv2.INTER_AREA)
    resized = cv2.resize(smaller, (w, h), interpolation=cv2.INTER_CUBIC)  # saturates at 0 and 255
    return np.asarray(resized, dtype=np.uint8)


def _with_channels(pixels: NDArray[np.uint8], c: int) -> NDArray[np.uint8]:
    """RGB (h, w, 3) -> (h, w, c)."""
    if c == 3:
        return pixels
    if c == 1:
        return np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]
    raise ChannelsError(f"a model takes 1 channel (grey) or 3 (RGB); this one takes {c}")
