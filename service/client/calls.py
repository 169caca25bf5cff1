"""The requests of the API and the parsing of its responses, shared by both clients."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypedDict, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from service.client.attributions import (
    Attributions,
    BatchAttributions,
    read_batch_npz,
    read_npz,
)
from service.client.errors import ShapshotError
from service.schemas.documents import Batch, Explanation, ExplanationList, Problem
from service.schemas.models import ModelCard, ModelList
from service.schemas.regions import Regions
from service.schemas.requests import ExplanationSettings, Outputs
from service.schemas.results import Faithfulness
from service.schemas.scores import Coalition, Scores, ScoresRequest

MAX_WAIT_S = 60  # the server's limit of Prefer: wait
Picture = bytes | Path
LabelMap = NDArray[np.integer[Any]] | bytes | Path  # (H, W), or the bytes of a PNG or an .npy
T = TypeVar("T")
Document = TypeVar("Document", bound=BaseModel)


class DrawingOptions(TypedDict, total=False):
    """Options of every drawing, as documented in the API."""

    alpha: float
    percentile: float
    palette: Literal["red_blue", "orange_blue", "orange_purple"]


class HeatmapOptions(DrawingOptions, total=False):
    """Options of a heatmap."""

    output: Sequence[str | int]  # labels or indices
    size: int | Literal["model", "original"]
    true_label: str


class FigureOptions(DrawingOptions, total=False):
    """Options of a figure of several pictures."""

    true_label: Sequence[str]  # one per picture
    width: int


class ListOptions(TypedDict, total=False):
    """Filters of a list of explanations."""

    status: str
    model: str
    cursor: str
    limit: int


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how to parse its response."""

    method: str
    path: str
    parse: Callable[[httpx.Response], T]
    options: dict[str, Any] = field(default_factory=dict)

    def read(self, response: httpx.Response) -> T:
        """Parse the response. Raises ShapshotError, httpx.HTTPStatusError."""
        if "application/problem+json" in response.headers.get("content-type", ""):
            raise ShapshotError(Problem.model_validate_json(response.content))
        return self.parse(response.raise_for_status())


def authorization(api_key: str | None) -> dict[str, str]:
    """Return the header that authenticates requests."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def create(
    picture: Picture, settings: ExplanationSettings | None, label_map: LabelMap | None, anew: bool
) -> Call[Explanation]:
    options = {"files": _parts([picture], settings, label_map), "headers": _caching(anew)}
    return Call("POST", "/v1/explanations", _document(Explanation), options)


def create_batch(
    pictures: Sequence[Picture],
    settings: ExplanationSettings | None,
    label_map: LabelMap | None,
    anew: bool,
) -> Call[Batch]:
    options = {"files": _parts(pictures, settings, label_map), "headers": _caching(anew)}
    return Call("POST", "/v1/batches", _document(Batch), options)


def _caching(anew: bool) -> dict[str, str]:
    return {"Cache-Control": "no-cache"} if anew else {}


def _parts(
    pictures: Sequence[Picture], settings: ExplanationSettings | None, label_map: LabelMap | None
) -> list[tuple[str, Any]]:
    """Return the multipart fields of a request to explain, by name."""
    text = (settings or ExplanationSettings()).model_dump_json(exclude_defaults=True)
    parts: list[tuple[str, Any]] = [
        ("image", ("picture", each) if isinstance(each, bytes) else (each.name, each.read_bytes()))
        for each in pictures
    ]
    parts.append(("settings", (None, text, "application/json")))
    if isinstance(label_map, Path):
        label_map = label_map.read_bytes()
    elif isinstance(label_map, np.ndarray):
        buffer = io.BytesIO()
        np.save(buffer, label_map, allow_pickle=False)
        label_map = buffer.getvalue()
    if label_map is not None:
        parts.append(("label_map", ("label_map", label_map)))
    return parts


def read(id_: str, wait_s: float = 0) -> Call[Explanation]:
    return Call("GET", f"/v1/explanations/{id_}", _document(Explanation), _waiting(wait_s))


def read_batch(id_: str, wait_s: float = 0) -> Call[Batch]:
    return Call("GET", f"/v1/batches/{id_}", _document(Batch), _waiting(wait_s))


def _waiting(wait_s: float) -> dict[str, Any]:
    headers = {"Prefer": f"wait={int(wait_s)}"} if wait_s >= 1 else {}
    return {"headers": headers, "timeout": wait_s + 30}


def attributions(id_: str) -> Call[Attributions]:
    path = f"/v1/explanations/{id_}/attributions"
    return Call("GET", path, lambda response: read_npz(response.content), _query({"format": "npz"}))


def batch_attributions(id_: str) -> Call[BatchAttributions]:
    path = f"/v1/batches/{id_}/attributions"
    return Call("GET", path, lambda response: read_batch_npz(response.content))


def batch_heatmap(id_: str, options: FigureOptions) -> Call[bytes]:
    return Call("GET", f"/v1/batches/{id_}/heatmap.png", _png, _query(options))


def heatmap(id_: str, style: str, options: HeatmapOptions) -> Call[bytes]:
    return Call("GET", f"/v1/explanations/{id_}/heatmap.png", _png, _query(options, style=style))


def figure(ids: Sequence[str], options: FigureOptions) -> Call[bytes]:
    return Call("GET", "/v1/figure.png", _png, _query(options, id=list(ids)))


def regions(id_: str, output: Sequence[str | int]) -> Call[Regions]:
    query = _query({"output": output}, format="json")
    return Call("GET", f"/v1/explanations/{id_}/regions", _document(Regions), query)


def scores(id_: str, coalitions: Sequence[Coalition], outputs: Outputs | None) -> Call[Scores]:
    asked = ScoresRequest(coalitions=list(coalitions), outputs=outputs)
    options = _waiting(MAX_WAIT_S) | {"json": asked.model_dump(exclude_none=True)}
    return Call("POST", f"/v1/explanations/{id_}/scores", _document(Scores), options)


def masked_picture(id_: str, coalition: Coalition) -> Call[bytes]:
    asked = {
        name: ",".join(map(str, regions)) for name, regions in coalition if regions is not None
    }
    return Call("GET", f"/v1/explanations/{id_}/masked.png", _png, {"params": asked})


def faithfulness(id_: str, output: Sequence[str | int]) -> Call[Faithfulness]:
    path = f"/v1/explanations/{id_}/faithfulness"
    return Call("GET", path, _document(Faithfulness), _query({"output": output}))


def faithfulness_chart(id_: str, output: Sequence[str | int]) -> Call[bytes]:
    path = f"/v1/explanations/{id_}/faithfulness.png"
    return Call("GET", path, _png, _query({"output": output}))


def cancel(id_: str) -> Call[Explanation]:
    return Call("POST", f"/v1/explanations/{id_}/cancel", _document(Explanation))


def cancel_batch(id_: str) -> Call[Batch]:
    return Call("POST", f"/v1/batches/{id_}/cancel", _document(Batch))


def delete_batch(id_: str) -> Call[None]:
    return Call("DELETE", f"/v1/batches/{id_}", lambda _: None)


def delete(id_: str) -> Call[None]:
    return Call("DELETE", f"/v1/explanations/{id_}", lambda _: None)


def explanations(options: ListOptions) -> Call[ExplanationList]:
    return Call("GET", "/v1/explanations", _document(ExplanationList), _query(options))


def models() -> Call[ModelList]:
    return Call("GET", "/v1/models", _document(ModelList))


def model(name: str) -> Call[ModelCard]:
    return Call("GET", f"/v1/models/{name}", _document(ModelCard))


def _query(options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the query parameters of a request; None leaves one to the server's default."""
    given = {**options, **more}
    return {"params": {name: value for name, value in given.items() if value is not None}}


def _document(kind: type[Document]) -> Callable[[httpx.Response], Document]:
    return lambda response: kind.model_validate_json(response.content)


def _png(response: httpx.Response) -> bytes:
    return response.content
