"""Maps a photo to the model's input picture, by `fit`: crop, stretch or pad."""

from dataclasses import dataclass

from service.schemas.requests import Fit
from service.schemas.results import Rectangle


@dataclass(frozen=True)
class ModelView:
    """The visible part of the photo, and its place in the model's picture."""

    crop: Rectangle
    placement: Rectangle

    @property
    def size(self) -> tuple[int, int]:
        """Return the rows and columns of the model's picture that the photo fills: (h, w)."""
        placed = self.placement
        return placed.bottom - placed.top, placed.right - placed.left


def model_view(photo: tuple[int, int], picture: tuple[int, int], *, fit: Fit) -> ModelView:
    """Compute the view of a photo of (H, W) pixels in a model's picture of (h, w).

    "crop": the largest centred part with the picture's aspect ratio fills it. "stretch": the whole
    photo fills it, distorted. "pad": the whole photo is centred, as large as its aspect ratio
    allows, but at least two pixels high and wide, as fewer cannot be inpainted.
    """
    (H, W), (h, w) = photo, picture
    rows, columns = h, w
    height, width = H, W
    if fit == "crop":
        height = min(H, max(1, round(W * h / w)))
        width = min(W, max(1, round(H * w / h)))
    elif fit == "pad":
        rows = min(h, max(2, round(H * w / W)))
        columns = min(w, max(2, round(W * h / H)))
    top, left = (H - height) // 2, (W - width) // 2
    crop = Rectangle(left=left, top=top, right=left + width, bottom=top + height)
    top, left = (h - rows) // 2, (w - columns) // 2
    placement = Rectangle(left=left, top=top, right=left + columns, bottom=top + rows)
    return ModelView(crop, placement)
