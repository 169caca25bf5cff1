"""Previews: the heatmap of a running explanation, as far as it is computed."""

from pydantic import Field

from service.schemas.base import ResponseModel
from service.schemas.results import Rectangle


class PreviewOutput(ResponseModel):
    """An output of the preview."""

    index: int
    label: str
    scale: float = Field(
        description="The largest magnitude in a cell, in units of the (linked) score; multiply "
        "`heat` by it"
    )


class Preview(ResponseModel):
    """A coarse heatmap of a running explanation; nothing of it is kept when that is done."""

    evaluations: int = Field(description="Evaluations of the model that it is made of")
    planned: int = Field(description="Evaluations of the method, without those of metrics")
    outputs: list[PreviewOutput] = Field(description="The first of the explained ones, at most 4")
    crop: Rectangle = Field(description="The part of the picture that it covers")
    rows: int
    columns: int
    cell: int = Field(description="Side of a cell, in pixels of the model's picture")
    heat: str = Field(
        description="Base64 of float16, little-endian, of shape (outputs, rows, columns), in "
        "-1..1: the mean over each cell of the attributions of its pixels, summed over channels, "
        "over the output's `scale`"
    )
