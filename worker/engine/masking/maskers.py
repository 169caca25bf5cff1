"""Maskers: paint the picture that the model sees when only a coalition is visible.

The semantics are those of `maskers.Image` in shap, so that values can equal shap's: Scott
Lundberg and others, https://shap.readthedocs.io/en/latest/generated/shap.maskers.Image.html. The
inpainting is OpenCV's: Alexandru Telea, "An image inpainting technique based on the fast marching
method", 2004, https://doi.org/10.1080/10867651.2004.10487596; Marcelo Bertalmio, Andrea Bertozzi
and Guillermo Sapiro, "Navier-Stokes, fluid dynamics, and image and video inpainting", 2001,
https://doi.org/10.1109/CVPR.2001.990497.
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from worker.engine.arrays import Mask, Pictures
from worker.engine.errors import MaskerError
from worker.engine.game.coalitions import Coalitions
from worker.engine.masking.masker_spec import MaskerSpec

INPAINT_RADIUS = 3  # pixels
INPAINT_FLAGS = {"inpaint_telea": cv2.INPAINT_TELEA, "inpaint_ns": cv2.INPAINT_NS}

# No threads within OpenCV: our own threads paint whole coalitions side by side, which scales better
cv2.setNumThreads(1)


class Masker(Protocol):
    """A pure function of coalitions: equal coalitions always give equal pictures."""

    @property
    def costly(self) -> bool:
        """Return whether painting one coalition takes long enough to be worth a thread."""

    def __call__(self, coalitions: Coalitions, out: Pictures | None = None) -> Pictures:
        """Paint B coalitions into out, or a new array: (B, H, W, C) float32 in 0..255."""


def make_masker(spec: MaskerSpec, picture: Pictures) -> Masker:
    """Make the masker of a picture (H, W, C), float32 in 0..255; the picture is copied.

    Raises MaskerError where the masker does not fit the picture's channels.
    """
    picture = np.array(picture, dtype=np.float32, order="C")
    if spec.kind in INPAINT_FLAGS:
        return InpaintMasker(spec, picture)
    return FillMasker(picture, _fill(spec, picture))


@dataclass(frozen=True, eq=False)
class FillMasker:
    """Shows the picture where visible and a fixed fill elsewhere; both (H, W, C) float32."""

    picture: Pictures
    fill: Pictures
    costly = False

    def __call__(self, coalitions: Coalitions, out: Pictures | None = None) -> Pictures:
        out = np.empty((len(coalitions), *self.picture.shape), np.float32) if out is None else out
        out[:] = self.fill  # (B, H, W, C)
        for i, canvas in enumerate(out):
            coalitions.reveal(i, self.picture, canvas)
        return out


class InpaintMasker:
    """Paints hidden pixels in from the visible ones around them, with OpenCV, radius 3.

    A pixel with a hidden channel is hidden in all channels. The whole picture, visible pixels
    included, is truncated to whole intensities first. Where nothing is visible, each channel gets
    its mean over the picture.
    """

    costly = True

    def __init__(self, spec: MaskerSpec, picture: Pictures) -> None:
        rows, columns, channels = picture.shape
        if channels not in (1, 3) or min(rows, columns) < 2:  # OpenCV misreads single rows
            raise MaskerError(
                f"masker {spec} cannot paint a picture of {rows} x {columns} pixels and {channels} "
                f"channels; it takes at least 2 x 2 pixels and 1 or 3 channels. The maskers blur, "
                f"mean and constant take any picture"
            )
        self._method = INPAINT_FLAGS[spec.kind]
        self._picture = picture.astype(np.uint8)
        self._mean = picture.mean(axis=(0, 1))  # (C,) float32, not truncated

    def __call__(self, coalitions: Coalitions, out: Pictures | None = None) -> Pictures:
        out = np.empty((len(coalitions), *self._picture.shape), np.float32) if out is None else out
        for i, canvas in enumerate(out):
            self._paint(coalitions, i, canvas)
        return out

    def _paint(self, coalitions: Coalitions, i: int, canvas: Pictures) -> None:
        visible = coalitions.visible(i)  # (H, W) or (H, W, C)
        seen: Mask = visible if visible.ndim == 2 else np.all(visible, axis=2)  # (H, W)
        hidden = (~seen).view(np.uint8)
        count = np.count_nonzero(hidden)
        if count == hidden.size:
            canvas[:] = self._mean
        elif count == 0:
            canvas[:] = self._picture
        else:
            painted = cv2.inpaint(self._picture, hidden, INPAINT_RADIUS, self._method)
            canvas[:] = painted.reshape(canvas.shape)  # OpenCV drops a single channel


def _fill(spec: MaskerSpec, picture: Pictures) -> Pictures:
    """Return the fill of hidden elements, (H, W, C) float32, for blur, mean and constant.

    blur: OpenCV's normalised box filter; the border is mirrored without repeating the edge pixel.
    mean: the float32 mean of each channel over the picture. constant: one value for each channel,
    or one for all.
    """
    if spec.kind == "blur":
        width, height = (int(extent) for extent in spec.numbers)
        return np.asarray(cv2.blur(picture, (width, height)), np.float32).reshape(picture.shape)
    if spec.kind == "mean":
        return np.broadcast_to(picture.mean(axis=(0, 1)), picture.shape)
    if len(spec.numbers) not in (1, picture.shape[2]):
        raise MaskerError(
            f"masker {spec} has {len(spec.numbers)} values but the picture has {picture.shape[2]} "
            f"channels; give one value for all channels, or one value for each"
        )
    return np.broadcast_to(np.array(spec.numbers, dtype=np.float32), picture.shape)
