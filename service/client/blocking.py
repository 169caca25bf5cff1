"""The blocking client."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from service.client import calls
from service.client.attributions import Attributions, BatchAttributions
from service.client.calls import Call, FigureOptions, HeatmapOptions, LabelMap, ListOptions, Picture
from service.client.errors import succeeded
from service.client.explanation import Explanation
from service.schemas import documents
from service.schemas.documents import Batch, ExplanationList
from service.schemas.models import ModelCard, ModelList
from service.schemas.regions import Regions
from service.schemas.requests import ExplanationSettings, Outputs
from service.schemas.results import Faithfulness
from service.schemas.scores import Coalition, Scores

T = TypeVar("T")


class Client:
    """A blocking client. Every method may raise ShapshotError and httpx.HTTPError."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, api_key: str | None = None, **options: Any
    ) -> None:
        self._http = httpx.Client(base_url=url, **options)
        self._http.headers.update(calls.authorization(api_key))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def submit(
        self,
        picture: Picture,
        settings: ExplanationSettings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
    ) -> Explanation:
        """Queue an explanation and return at once.

        label_map: your own superpixels. anew: compute it even if a result exists.
        """
        return self._bound(self._send(calls.create(picture, settings, label_map, anew)))

    def explain(
        self,
        picture: Picture,
        settings: ExplanationSettings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
        timeout_s: float = 3600,
    ) -> Explanation:
        """Queue an explanation and wait until it is done.

        Raises ExplanationFailedError, TimeoutError.
        """
        queued = self.submit(picture, settings, label_map=label_map, anew=anew)
        return self.wait(queued.id, timeout_s=timeout_s)

    def wait(self, explanation_id: str, *, timeout_s: float = 3600) -> Explanation:
        """Wait until it is done. Raises ExplanationFailedError, TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = min(calls.MAX_WAIT_S, deadline - time.monotonic())
            explanation = self._send(calls.read(explanation_id, max(1, left_s)))
            if explanation.done:
                return self._bound(succeeded(explanation))
            if time.monotonic() > deadline:
                raise TimeoutError(f"{explanation_id} is {explanation.status} after {timeout_s} s")

    def get(self, explanation_id: str) -> Explanation:
        return self._bound(self._send(calls.read(explanation_id)))

    def attributions(self, explanation_id: str) -> Attributions:
        """Get the arrays; `to_shap` converts them to a shap.Explanation."""
        return self._send(calls.attributions(explanation_id))

    def heatmap(
        self, explanation_id: str, style: str = "figure", **options: Unpack[HeatmapOptions]
    ) -> bytes:
        """Get a PNG; style: figure, overlay or heat."""
        return self._send(calls.heatmap(explanation_id, style, options))

    def figure(self, explanation_ids: Sequence[str], **options: Unpack[FigureOptions]) -> bytes:
        """Get a PNG of several pictures, one per row, on a common colour scale."""
        return self._send(calls.figure(explanation_ids, options))

    def regions(self, explanation_id: str, output: Sequence[str | int] = ()) -> Regions:
        """Get each region's attribution to each output; field `adding` says how values add up."""
        return self._send(calls.regions(explanation_id, output))

    def scores(
        self,
        explanation_id: str,
        coalitions: Sequence[Coalition],
        outputs: Outputs | None = None,
    ) -> Scores:
        """Score coalitions of its regions, for the explained outputs unless some are given.

        Waits up to 60 s; `done` tells whether they are scored.
        """
        return self._send(calls.scores(explanation_id, coalitions, outputs))

    def masked_picture(self, explanation_id: str, coalition: Coalition) -> bytes:
        """Get the picture that the model sees of a coalition, as PNG."""
        return self._send(calls.masked_picture(explanation_id, coalition))

    def faithfulness(self, explanation_id: str, output: Sequence[str | int] = ()) -> Faithfulness:
        """Get the curves of the requested metrics, by default of all outputs."""
        return self._send(calls.faithfulness(explanation_id, output))

    def faithfulness_chart(self, explanation_id: str, output: Sequence[str | int] = ()) -> bytes:
        """Get the curves as a PNG."""
        return self._send(calls.faithfulness_chart(explanation_id, output))

    def cancel(self, explanation_id: str) -> Explanation:
        return self._bound(self._send(calls.cancel(explanation_id)))

    def delete(self, explanation_id: str) -> None:
        self._send(calls.delete(explanation_id))

    def submit_batch(
        self,
        pictures: Sequence[Picture],
        settings: ExplanationSettings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
    ) -> Batch:
        """Queue explanations of up to 32 pictures at once and return at once."""
        return self._send(calls.create_batch(pictures, settings, label_map, anew))

    def wait_batch(self, batch_id: str, *, timeout_s: float = 3600) -> Batch:
        """Wait until all explanations are done, successful or not. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = min(calls.MAX_WAIT_S, deadline - time.monotonic())
            batch = self._send(calls.read_batch(batch_id, max(1, left_s)))
            if batch.done:
                return batch
            if time.monotonic() > deadline:
                raise TimeoutError(f"{batch_id} is {batch.status} after {timeout_s} s")

    def get_batch(self, batch_id: str) -> Batch:
        return self._send(calls.read_batch(batch_id))

    def batch_attributions(self, batch_id: str) -> BatchAttributions:
        return self._send(calls.batch_attributions(batch_id))

    def batch_heatmap(self, batch_id: str, **options: Unpack[FigureOptions]) -> bytes:
        return self._send(calls.batch_heatmap(batch_id, options))

    def cancel_batch(self, batch_id: str) -> Batch:
        return self._send(calls.cancel_batch(batch_id))

    def delete_batch(self, batch_id: str) -> None:
        self._send(calls.delete_batch(batch_id))

    def list(self, **options: Unpack[ListOptions]) -> ExplanationList:
        return self._send(calls.explanations(options))

    def models(self) -> ModelList:
        return self._send(calls.models())

    def model(self, name: str) -> ModelCard:
        return self._send(calls.model(name))

    def _bound(self, document: documents.Explanation) -> Explanation:
        return Explanation.of(document, self.regions)

    def _send(self, call: Call[T]) -> T:
        return call.read(self._http.request(call.method, call.path, **call.options))
