"""An upright picture of any size -> the picture a model sees, and which part of the photo it is."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.schema import Crop

Fit = Literal["crop", "stretch"]


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
    box = (
        _centred(pixels.shape[0], pixels.shape[1], aspect=(h, w)) if fit == "crop" else _all(pixels)
    )
    part = pixels[box.top : box.bottom, box.left : box.right]
    fitted = _with_channels(_resize(part, h, w), c)  # (h, w, c)
    return fitted.astype(np.float32), box


def _all(pixels: NDArray[np.uint8]) -> Crop:
    return Crop(left=0, top=0, right=pixels.shape[1], bottom=pixels.shape[0])


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
