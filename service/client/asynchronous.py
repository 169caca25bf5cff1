"""The client for asyncio."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from service.client import calls
from service.client.attributions import Attributions, BatchAttributions
from service.client.calls import Call, FigureOptions, HeatmapOptions, LabelMap, ListOptions, Picture
from service.client.errors import succeeded
from service.client.explanation import AsyncExplanation
from service.schemas import documents
from service.schemas.documents import Batch, ExplanationList
from service.schemas.models import ModelCard, ModelList
from service.schemas.regions import Regions
from service.schemas.requests import ExplanationSettings, Outputs
from service.schemas.results import Faithfulness
from service.schemas.scores import Coalition, Scores

T = TypeVar("T")


class AsyncClient:
    """`Client` for asyncio; limit a wait with asyncio.timeout."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, api_key: str | None = None, **options: Any
    ) -> None:
        self._http = httpx.AsyncClient(base_url=url, **options)
        self._http.headers.update(calls.authorization(api_key))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def submit(
        self,
        picture: Picture,
        settings: ExplanationSettings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
    ) -> AsyncExplanation:
        return self._bound(await self._send(calls.create(picture, settings, label_map, anew)))

    async def explain(
        self,
        picture: Picture,
        settings: ExplanationSettings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
    ) -> AsyncExplanation:
        """Queue an explanation and wait until it is done. Raises ExplanationFailedError."""
        queued = await self.submit(picture, settings, label_map=label_map, anew=anew)
        return await self.wait(queued.id)

    async def wait(self, explanation_id: str) -> AsyncExplanation:
        """Wait until it is done. Raises ExplanationFailedError."""
        while True:
            explanation = await self._send(calls.read(explanation_id, calls.MAX_WAIT_S))
            if explanation.done:
                return self._bound(succeeded(explanation))

    async def get(self, explanation_id: str) -> AsyncExplanation:
        return self._bound(await self._send(calls.read(explanation_id)))

    async def attributions(self, explanation_id: str) -> Attributions:
        return await self._send(calls.attributions(explanation_id))

    async def heatmap(
        self, explanation_id: str, style: str = "figure", **options: Unpack[HeatmapOptions]
    ) -> bytes:
        return await self._send(calls.heatmap(explanation_id, style, options))

    async def figure(
        self, explanation_ids: Sequence[str], **options: Unpack[FigureOptions]
    ) -> bytes:
        return await self._send(calls.figure(explanation_ids, options))

    async def regions(self, explanation_id: str, output: Sequence[str | int] = ()) -> Regions:
        """Get each region's attribution to each output; field `adding` says how values add up."""
        return await self._send(calls.regions(explanation_id, output))

    async def scores(
        self,
        explanation_id: str,
        coalitions: Sequence[Coalition],
        outputs: Outputs | None = None,
    ) -> Scores:
        """Score coalitions of its regions, for the explained outputs unless some are given.

        Waits up to 60 s; `done` tells whether they are scored.
        """
        return await self._send(calls.scores(explanation_id, coalitions, outputs))

    async def masked_picture(self, explanation_id: str, coalition: Coalition) -> bytes:
        """Get the picture that the model sees of a coalition, as PNG."""
        return await self._send(calls.masked_picture(explanation_id, coalition))

    async def faithfulness(
        self, explanation_id: str, output: Sequence[str | int] = ()
    ) -> Faithfulness:
        return await self._send(calls.faithfulness(explanation_id, output))

    async def faithfulness_chart(
        self, explanation_id: str, output: Sequence[str | int] = ()
    ) -> bytes:
        return await self._send(calls.faithfulness_chart(explanation_id, output))

    async def cancel(self, explanation_id: str) -> AsyncExplanation:
        return self._bound(await self._send(calls.cancel(explanation_id)))

    async def delete(self, explanation_id: str) -> None:
        await self._send(calls.delete(explanation_id))

    async def submit_batch(
        self,
        pictures: Sequence[Picture],
        settings: ExplanationSettings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
    ) -> Batch:
        return await self._send(calls.create_batch(pictures, settings, label_map, anew))

    async def wait_batch(self, batch_id: str) -> Batch:
        """Wait until all explanations are done, successful or not."""
        while True:
            batch = await self._send(calls.read_batch(batch_id, calls.MAX_WAIT_S))
            if batch.done:
                return batch

    async def get_batch(self, batch_id: str) -> Batch:
        return await self._send(calls.read_batch(batch_id))

    async def batch_attributions(self, batch_id: str) -> BatchAttributions:
        return await self._send(calls.batch_attributions(batch_id))

    async def batch_heatmap(self, batch_id: str, **options: Unpack[FigureOptions]) -> bytes:
        return await self._send(calls.batch_heatmap(batch_id, options))

    async def cancel_batch(self, batch_id: str) -> Batch:
        return await self._send(calls.cancel_batch(batch_id))

    async def delete_batch(self, batch_id: str) -> None:
        await self._send(calls.delete_batch(batch_id))

    async def list(self, **options: Unpack[ListOptions]) -> ExplanationList:
        return await self._send(calls.explanations(options))

    async def models(self) -> ModelList:
        return await self._send(calls.models())

    async def model(self, name: str) -> ModelCard:
        return await self._send(calls.model(name))

    def _bound(self, document: documents.Explanation) -> AsyncExplanation:
        return AsyncExplanation.of(document, self.regions)

    async def _send(self, call: Call[T]) -> T:
        return call.read(await self._http.request(call.method, call.path, **call.options))
