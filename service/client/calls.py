"""The requests of the API and the parsing of its responses, shared by both clients."""

import io
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypedDict, TypeVar, get_args
from urllib.parse import quote
from uuid import uuid4

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from service.client.attributions import (
    Attributions,
    BatchAttributions,
    read_batch_npz,
    read_npz,
)
from service.client.errors import ShapshotError
from service.client.pictures import Address, File
from service.client.retry import seconds_of
from service.schemas.audit import AuditPage
from service.schemas.caller import Caller
from service.schemas.chain import ChainPage
from service.schemas.documents import Batch, BatchList, Explanation, ExplanationList, Problem
from service.schemas.keeping import Hold
from service.schemas.links import LinkRequest, SignedLink
from service.schemas.models import MethodList, ModelCard, ModelList
from service.schemas.previews import Preview
from service.schemas.regions import Regions
from service.schemas.reproduction import Reproduction
from service.schemas.requests import ExplanationSettings, Outputs
from service.schemas.results import Faithfulness
from service.schemas.reviews import ReviewDocument, ReviewList
from service.schemas.scores import Coalition, Scores, ScoresRequest
from service.schemas.webhooks import (
    Delivery,
    DeliveryList,
    DeliveryStatus,
    Signature,
    Webhook,
    WebhookList,
    WebhookWithSecret,
)

MAX_WAIT_S = 60  # the server's limit of Prefer: wait
# Seconds without an answer, unless the client was given a timeout
CONNECT_S = 10.0
DOCUMENT_S = 30.0
UPLOAD_S = 120.0  # pictures are decoded before the answer
RESULT_S = 300.0  # drawing a large picture, or packing the arrays of a batch
Settings = ExplanationSettings | Mapping[str, Any]
# (H, W), or a PNG or an .npy as bytes or file
LabelMap = NDArray[np.integer[Any]] | bytes | str | os.PathLike[str]
CoalitionLike = Coalition | Mapping[str, Sequence[int]]  # {"hidden": [3, 7]} or {"shown": [1]}
Format = Literal["png", "svg", "pdf"]  # of drawings
T = TypeVar("T")
Document = TypeVar("Document", bound=BaseModel)


class DrawingOptions(TypedDict, total=False):
    """Options of every drawing, as documented in the API."""

    alpha: float
    percentile: float
    palette: Literal["red_blue", "orange_blue", "orange_purple"]
    unit: Literal["pixel", "region"]
    legend: bool
    scale: Literal["shared", "row", "panel"]  # of a figure


class HeatmapOptions(DrawingOptions, total=False):
    """Options of a heatmap."""

    output: Sequence[str | int]  # labels or indices
    size: int | Literal["model", "original"]
    pairs: int  # lines of the style interactions
    true_label: str


class FigureOptions(DrawingOptions, total=False):
    """Options of a figure of several pictures."""

    true_label: Sequence[str]  # one per picture
    width: int


class PageOptions(TypedDict, total=False):
    """The page of a list, and the owner listed."""

    owner: str
    order: Literal["newest", "oldest"]
    cursor: str
    limit: int  # items in a page, up to 100


class AuditOptions(TypedDict, total=False):
    """Filters of the audit log, all of which select, and its page."""

    actor: str
    action: str
    explanation: str  # or a batch
    since: datetime
    before: datetime
    order: Literal["newest", "oldest"]
    cursor: str
    limit: int  # entries in a page, up to 1000


class ListOptions(PageOptions, total=False):
    """Filters of a list of explanations, all of which select."""

    status: str
    model: str
    fingerprint: str
    method: str
    masker: str
    label: str | int
    warning: str
    true_label: str | int
    correct: bool | Literal["null"]
    name: str  # words of the file name
    review: Literal["accept", "reject", "override", "none"]
    held: Literal["true"]
    batch: str
    picture: str  # SHA-256 of the file
    metadata: Sequence[str]  # KEY=VALUE
    created_after: datetime
    created_before: datetime


class WebhookChanges(TypedDict, total=False):
    """Fields of a webhook that change."""

    url: str
    events: Sequence[str]
    description: str
    enabled: bool


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how to parse its response."""

    method: str
    path: str
    parse: Callable[[httpx.Response], T]
    options: dict[str, Any] = field(default_factory=dict)
    timeout_s: float = DOCUMENT_S
    wait_s: float = 0  # of the server, before it answers
    retry_s: float | None = None  # seconds for repetitions; None: the client's

    def read(self, response: httpx.Response, *, repeated: bool = False) -> T:
        """Parse the response. Raises ShapshotError, httpx.HTTPStatusError."""
        if repeated and self.method == "DELETE" and response.status_code in (404, 410):
            return self.parse(response)  # the first request deleted it, and its answer was lost
        if "application/problem+json" in response.headers.get("content-type", ""):
            problem = Problem.model_validate_json(response.content)
            raise ShapshotError(problem, seconds_of(response))
        return self.parse(response.raise_for_status())

    def timeout(self, given_s: float | None) -> httpx.Timeout:
        """Return the timeout of the request; given_s: that of the client, None for ours."""
        if given_s is not None:
            return httpx.Timeout(given_s + self.wait_s)
        return httpx.Timeout(self.timeout_s + self.wait_s, connect=CONNECT_S)


def authorization(api_key: str | None) -> dict[str, str]:
    """Return the header that authenticates requests. Raises ValueError, which hides the key."""
    key = (api_key or "").strip()  # read from a file, it ends with a newline
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise ValueError("api_key: printable ASCII without spaces; received other characters")
    return {"Authorization": f"Bearer {key}"} if key else {}


def create(
    file: File | Address,
    settings: Settings | None,
    label_map: LabelMap | None,
    anew: bool,
    idempotency_key: str | None,
) -> Call[Explanation]:
    options = {
        "files": _parts([file], settings, label_map),
        "headers": _submission_headers(anew, idempotency_key),
    }
    return Call("POST", "/v1/explanations", _document(Explanation), options, UPLOAD_S)


def create_batch(
    files: Sequence[File | Address],
    settings: Settings | None,
    label_map: LabelMap | None,
    anew: bool,
    idempotency_key: str | None,
) -> Call[Batch]:
    options = {
        "files": _parts(files, settings, label_map),
        "headers": _submission_headers(anew, idempotency_key),
    }
    return Call("POST", "/v1/batches", _document(Batch), options, UPLOAD_S)


def _submission_headers(anew: bool, idempotency_key: str | None) -> dict[str, str]:
    return _once(idempotency_key) | ({"Cache-Control": "no-cache"} if anew else {})


def _once(idempotency_key: str | None = None) -> dict[str, str]:
    """Return the header by which a repeated request makes nothing new."""
    return {"Idempotency-Key": idempotency_key or uuid4().hex}


def _parts(
    files: Sequence[File | Address], settings: Settings | None, label_map: LabelMap | None
) -> list[tuple[str, Any]]:
    """Return the multipart fields of a request to explain, by name.

    A dict of settings is sent as it is: the server checks it.
    """
    if isinstance(settings, ExplanationSettings):
        text = settings.model_dump_json(exclude_defaults=True)
    else:
        if not isinstance(settings, Mapping | None):
            raise TypeError(
                "settings are a dict or ExplanationSettings; received " + type(settings).__name__
            )
        text = json.dumps(dict(settings or {}), default=_plain)
    parts: list[tuple[str, Any]] = [
        ("image_url", (None, file.url)) if isinstance(file, Address) else ("image", file)
        for file in files
    ]
    parts.append(("settings", (None, text, "application/json")))
    if isinstance(label_map, str | os.PathLike):
        label_map = Path(label_map).read_bytes()
    elif isinstance(label_map, np.ndarray):
        buffer = io.BytesIO()
        np.save(buffer, label_map, allow_pickle=False)
        label_map = buffer.getvalue()
    if label_map is not None:
        parts.append(("label_map", ("label_map", label_map)))
    return parts


def _plain(value: Any) -> Any:
    """Return the number or list of numbers that a setting of NumPy is."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"settings are sent as JSON, which has no {type(value).__name__}")


def read(id_: str, wait_s: float = 0) -> Call[Explanation]:
    return Call(
        "GET", _of_explanation(id_), _document(Explanation), _waiting(wait_s), wait_s=wait_s
    )


def read_batch(id_: str, wait_s: float = 0) -> Call[Batch]:
    return Call("GET", _of_batch(id_), _document(Batch), _waiting(wait_s), wait_s=wait_s)


def _waiting(wait_s: float) -> dict[str, Any]:
    return {"headers": {"Prefer": f"wait={int(wait_s)}"}} if wait_s >= 1 else {}


def next_wait_s(left_s: float, on_progress: object) -> float:
    """Return how long the server may wait before it answers, in seconds.

    left_s: seconds until the caller's time limit. With on_progress, it answers every second.
    """
    return max(1, min(1 if on_progress else MAX_WAIT_S, left_s))


def events(id_: str) -> Call[None]:
    return Call("GET", _of_explanation(id_, "/events"), lambda _: None)


def preview(id_: str) -> Call[Preview]:
    return Call("GET", f"/v1/explanations/{id_}/preview", _document(Preview))


def attributions(id_: str, output: Sequence[str | int]) -> Call[Attributions]:
    path = _of_explanation(id_, "/attributions")
    query = _query({"format": "npz", "output": output})
    return Call("GET", path, lambda response: read_npz(response.content), query, RESULT_S)


def attributions_npz(id_: str) -> Call[bytes]:
    path = _of_explanation(id_, "/attributions")
    return Call("GET", path, _content, _query({"format": "npz"}), RESULT_S)


def batch_attributions(id_: str) -> Call[BatchAttributions]:
    path = _of_batch(id_, "/attributions")
    return Call("GET", path, lambda response: read_batch_npz(response.content), timeout_s=RESULT_S)


def heatmap(id_: str, style: str, format: Format, options: HeatmapOptions) -> Call[bytes]:
    return _drawing(_of_explanation(id_, "/heatmap"), format, _query(options, style=style))


def figure(ids: Sequence[str], format: Format, options: FigureOptions) -> Call[bytes]:
    return _drawing("/v1/figure", format, _query(options, id=list(ids)))


def batch_heatmap(id_: str, format: Format, options: FigureOptions) -> Call[bytes]:
    return _drawing(_of_batch(id_, "/heatmap"), format, _query(options))


def faithfulness_chart(id_: str, output: Sequence[str | int], format: Format) -> Call[bytes]:
    return _drawing(_of_explanation(id_, "/faithfulness"), format, _query({"output": output}))


def _drawing(path: str, format: Format, query: dict[str, Any]) -> Call[bytes]:
    if format not in get_args(Format):
        accepted = ", ".join(get_args(Format))
        raise ValueError(f"format: one of {accepted}; received {format!r}")
    return Call("GET", f"{path}.{format}", _content, query, RESULT_S)


def picture(id_: str) -> Call[bytes]:
    return Call("GET", _of_explanation(id_, "/picture"), _content, timeout_s=RESULT_S)


def label_map(id_: str) -> Call[bytes]:
    return Call("GET", _of_explanation(id_, "/label_map"), _content, timeout_s=RESULT_S)


def thumbnail(id_: str, size: int | None) -> Call[bytes]:
    path = _of_explanation(id_, "/thumbnail.png")
    return Call("GET", path, _content, _query({"size": size}), RESULT_S)


def record(id_: str) -> Call[bytes]:
    return Call("GET", f"/v1/explanations/{id_}/record", _content, timeout_s=RESULT_S)


def bundle(id_: str) -> Call[bytes]:
    return Call("GET", f"/v1/explanations/{id_}/bundle.zip", _content, timeout_s=RESULT_S)


def report(id_: str) -> Call[bytes]:
    return Call("GET", f"/v1/explanations/{id_}/report.html", _content, timeout_s=RESULT_S)


def report_pdf(id_: str) -> Call[bytes]:
    return Call("GET", f"/v1/explanations/{id_}/report.pdf", _content, timeout_s=RESULT_S)


def batch_report(id_: str) -> Call[bytes]:
    return Call("GET", _of_batch(id_, "/report.html"), _content, timeout_s=RESULT_S)


def batch_report_pdf(id_: str) -> Call[bytes]:
    return Call("GET", _of_batch(id_, "/report.pdf"), _content, timeout_s=RESULT_S)


def reproduce(id_: str, idempotency_key: str | None) -> Call[Explanation]:
    options = {"headers": _submission_headers(False, idempotency_key)}
    path = _of_explanation(id_, "/reproduce")
    return Call("POST", path, _document(Explanation), options, UPLOAD_S)


def reproduction(id_: str) -> Call[Reproduction]:
    path = _of_explanation(id_, "/reproduction")
    return Call("GET", path, _document(Reproduction), timeout_s=RESULT_S)


def review(
    id_: str, verdict: str, label: str | None, comment: str | None, reviewer: str | None
) -> Call[ReviewDocument]:
    given = {"verdict": verdict, "label": label, "comment": comment, "reviewer": reviewer}
    asked = {name: value for name, value in given.items() if value is not None}
    path = _of_explanation(id_, "/reviews")
    options = {"json": asked, "headers": _once()}
    return Call("POST", path, _document(ReviewDocument), options, UPLOAD_S)


def reviews(id_: str) -> Call[ReviewList]:
    return Call("GET", _of_explanation(id_, "/reviews"), _document(ReviewList))


def hold(id_: str, reason: str, until: datetime | None, name: str | None) -> Call[Hold]:
    given = {"reason": reason, "until": until.isoformat() if until else None, "name": name}
    asked = {key: value for key, value in given.items() if value is not None}
    return Call("PUT", _of_explanation(id_, "/hold"), _document(Hold), {"json": asked})


def get_hold(id_: str) -> Call[Hold]:
    return Call("GET", _of_explanation(id_, "/hold"), _document(Hold))


def release_hold(id_: str) -> Call[None]:
    return Call("DELETE", _of_explanation(id_, "/hold"), lambda _: None)


def audit(options: AuditOptions) -> Call[AuditPage]:
    return Call("GET", "/v1/audit", _document(AuditPage), _query(options))


def audit_lines(options: AuditOptions) -> Call[bytes]:
    accepted = {"headers": {"Accept": "application/x-ndjson"}}
    return Call("GET", "/v1/audit", _content, _query(options) | accepted, RESULT_S)


def records(after: int | None, limit: int) -> Call[ChainPage]:
    options = _query({"after": after, "limit": limit})
    return Call("GET", "/v1/records", _document(ChainPage), options, RESULT_S)


def audit_segments() -> Call[bytes]:
    return Call("GET", "/v1/audit/segments", _content, timeout_s=RESULT_S)


def signing_keys() -> Call[bytes]:
    return Call("GET", "/.well-known/jwks.json", _content)


def link(id_: str, path: str | None, lifetime_s: int | None) -> Call[SignedLink]:
    return _link(_of_explanation(id_, "/links"), path, lifetime_s)


def batch_link(id_: str, path: str | None, lifetime_s: int | None) -> Call[SignedLink]:
    return _link(_of_batch(id_, "/links"), path, lifetime_s)


def _link(to: str, path: str | None, lifetime_s: int | None) -> Call[SignedLink]:
    asked = LinkRequest(path=path, scope=None, lifetime_s=lifetime_s)
    options = {"json": asked.model_dump(exclude_none=True)}
    return Call("POST", to, _document(SignedLink), options)


def regions(id_: str, output: Sequence[str | int], pairs: int) -> Call[Regions]:
    query = _query({"output": output, "pairs": pairs}, format="json")
    return Call("GET", _of_explanation(id_, "/regions"), _document(Regions), query, RESULT_S)


def regions_csv(id_: str) -> Call[bytes]:
    path = _of_explanation(id_, "/regions")
    return Call("GET", path, _content, _query({"format": "csv"}), RESULT_S)


def scores(
    id_: str, coalitions: Sequence[CoalitionLike], outputs: Outputs | Mapping[str, Any] | None
) -> Call[Scores]:
    asked = ScoresRequest.model_validate({"coalitions": list(coalitions), "outputs": outputs})
    options = _waiting(MAX_WAIT_S) | {"json": asked.model_dump(exclude_none=True)}
    path = _of_explanation(id_, "/scores")
    return Call("POST", path, _document(Scores), options, wait_s=MAX_WAIT_S)


def get_scores(id_: str, scores_id: str) -> Call[Scores]:
    path = _of_explanation(id_, f"/scores/{_checked(scores_id)}")
    return Call("GET", path, _document(Scores), _waiting(MAX_WAIT_S), wait_s=MAX_WAIT_S)


def masked_picture(id_: str, coalition: CoalitionLike) -> Call[bytes]:
    asked = {
        name: ",".join(map(str, regions))
        for name, regions in Coalition.model_validate(coalition)
        if regions is not None
    }
    return Call("GET", _of_explanation(id_, "/masked.png"), _content, {"params": asked}, RESULT_S)


def faithfulness(id_: str, output: Sequence[str | int]) -> Call[Faithfulness]:
    path = _of_explanation(id_, "/faithfulness")
    return Call("GET", path, _document(Faithfulness), _query({"output": output}), RESULT_S)


def cancel(id_: str) -> Call[Explanation]:
    return Call("POST", _of_explanation(id_, "/cancel"), _document(Explanation))


def cancel_batch(id_: str) -> Call[Batch]:
    return Call("POST", _of_batch(id_, "/cancel"), _document(Batch))


def delete_batch(id_: str) -> Call[None]:
    return Call("DELETE", _of_batch(id_), lambda _: None)


def delete(id_: str) -> Call[None]:
    return Call("DELETE", _of_explanation(id_), lambda _: None)


def explanations(options: ListOptions) -> Call[ExplanationList]:
    return Call("GET", "/v1/explanations", _document(ExplanationList), _query(options))


def batches(options: PageOptions) -> Call[BatchList]:
    return Call("GET", "/v1/batches", _document(BatchList), _query(options))


def create_webhook(
    url: str,
    events: Sequence[str],
    description: str,
    all_owners: bool,
    signature: Signature | None,
    secret: str | None,
) -> Call[WebhookWithSecret]:
    document = {
        "url": url,
        "events": list(events),
        "description": description,
        "all_owners": all_owners,
        "signature": signature,
        "secret": secret,
    }
    options = {"json": document, "headers": _once()}
    return Call("POST", "/v1/webhooks", _document(WebhookWithSecret), options)


def webhooks() -> Call[WebhookList]:
    return Call("GET", "/v1/webhooks", _document(WebhookList))


def webhook(id_: str) -> Call[Webhook]:
    return Call("GET", _of_webhook(id_), _document(Webhook))


def change_webhook(id_: str, changes: WebhookChanges) -> Call[Webhook]:
    return Call("PATCH", _of_webhook(id_), _document(Webhook), {"json": dict(changes)})


def delete_webhook(id_: str) -> Call[None]:
    return Call("DELETE", _of_webhook(id_), lambda _: None)


def rotate_webhook(
    id_: str, signature: Signature | None, secret: str | None
) -> Call[WebhookWithSecret]:
    options = {"json": {"signature": signature, "secret": secret}, "headers": _once()}
    return Call("POST", _of_webhook(id_, "/rotate"), _document(WebhookWithSecret), options)


def test_webhook(id_: str) -> Call[Delivery]:
    return Call("POST", _of_webhook(id_, "/test"), _document(Delivery), {"headers": _once()})


def deliveries(id_: str, status: DeliveryStatus | None, limit: int | None) -> Call[DeliveryList]:
    query = _query({"status": status, "limit": limit})
    return Call("GET", _of_webhook(id_, "/deliveries"), _document(DeliveryList), query)


def replay_delivery(id_: str, delivery_id: str) -> Call[Delivery]:
    path = _of_webhook(id_, f"/deliveries/{_checked(delivery_id)}/replay")
    return Call("POST", path, _document(Delivery), {"headers": _once()})


def caller() -> Call[Caller]:
    return Call("GET", "/v1/caller", _document(Caller))


def methods() -> Call[MethodList]:
    return Call("GET", "/v1/methods", _document(MethodList))


def models() -> Call[ModelList]:
    return Call("GET", "/v1/models", _document(ModelList))


def model(name: str) -> Call[ModelCard]:
    return Call("GET", f"/v1/models/{quote(name, safe='')}", _document(ModelCard))


def _of_explanation(id_: str, rest: str = "") -> str:
    return f"/v1/explanations/{_checked(id_)}{rest}"


def _of_webhook(id_: str, rest: str = "") -> str:
    return f"/v1/webhooks/{_checked(id_)}{rest}"


def _of_batch(id_: str, rest: str = "") -> str:
    return f"/v1/batches/{_checked(id_)}{rest}"


def _checked(id_: object) -> str:
    """Return an id as part of a path. Raises TypeError, such as for a document."""
    if not isinstance(id_, str):
        raise TypeError(
            f"an id is a str, as is the .id of a document; received {type(id_).__name__}"
        )
    return quote(id_, safe="")


def _query(options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the query parameters of a request; None leaves one to the server's default."""
    given = {name: value for name, value in {**options, **more}.items() if value is not None}
    texts = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in given.items()
    }
    return {"params": texts}


def _document(kind: type[Document]) -> Callable[[httpx.Response], Document]:
    def parse(response: httpx.Response) -> Document:
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            received = response.headers.get("content-type", "nothing that has a type")
            raise httpx.DecodingError(
                f"{response.url} answered with {received} that is no {kind.__name__} of Shapshot; "
                "is it the URL of another server, or of a newer version?",
                request=response.request,
            ) from error

    return parse


def _content(response: httpx.Response) -> bytes:
    return response.content
