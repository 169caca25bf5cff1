"""Typed clients of the HTTP API, blocking and async, over httpx."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray

from service.contract.schema import (
    Explanation,
    ExplanationList,
    ExplanationSettings,
    ModelCard,
    ModelList,
    Problem,
)

LONGEST_WAIT_S = 60  # what the server grants one long poll
Picture = bytes | Path
Arrays = dict[str, NDArray[Any]]
T = TypeVar("T")


class ShapshotError(Exception):
    """The server refused; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem


class ExplanationFailed(ShapshotError):  # noqa: N818
    """The explanation was accepted and ended without a result."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and how to read its answer; what both clients share."""

    method: str
    path: str
    parse: Callable[[httpx.Response], T]
    options: dict[str, Any] = field(default_factory=dict)


def _create(picture: Picture, settings: ExplanationSettings | None) -> Call[Explanation]:
    content = picture if isinstance(picture, bytes) else picture.read_bytes()
    text = (settings or ExplanationSettings()).model_dump_json(exclude_defaults=True)
    files = {"image": ("picture", content), "settings": (None, text, "application/json")}
    return Call("POST", "/v1/explanations", _document, {"files": files})


def _read(id_: str, wait_s: float = 0) -> Call[Explanation]:
    headers = {"Prefer": f"wait={int(wait_s)}"} if wait_s >= 1 else {}
    options = {"headers": headers, "timeout": wait_s + 30}
    return Call("GET", f"/v1/explanations/{id_}", _document, options)


def _arrays(id_: str) -> Call[Arrays]:
    params = {"format": "npz"}
    return Call("GET", f"/v1/explanations/{id_}/attributions", _npz, {"params": params})


def _heatmap(id_: str, style: str, **params: Any) -> Call[bytes]:
    given = {"style": style, **{name: value for name, value in params.items() if value is not None}}
    path = f"/v1/explanations/{id_}/heatmap.png"
    return Call("GET", path, lambda answer: answer.content, {"params": given})


def _cancel(id_: str) -> Call[Explanation]:
    return Call("POST", f"/v1/explanations/{id_}/cancel", _document)


def _delete(id_: str) -> Call[None]:
    return Call("DELETE", f"/v1/explanations/{id_}", lambda _: None)


def _list(**params: Any) -> Call[ExplanationList]:
    given = {name: value for name, value in params.items() if value is not None}
    parse = _model_reader(ExplanationList)
    return Call("GET", "/v1/explanations", parse, {"params": given})


def _models() -> Call[ModelList]:
    return Call("GET", "/v1/models", _model_reader(ModelList))


def _model(name: str) -> Call[ModelCard]:
    return Call("GET", f"/v1/models/{name}", _model_reader(ModelCard))


class Client:
    """Blocking. Every method may raise ShapshotError and httpx.HTTPError."""

    def __init__(self, url: str = "http://127.0.0.1:8000", **options: Any) -> None:
        self._http = httpx.Client(base_url=url, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def submit(self, picture: Picture, settings: ExplanationSettings | None = None) -> Explanation:
        """Queue an explanation and return at once."""
        return self._send(_create(picture, settings))

    def explain(
        self,
        picture: Picture,
        settings: ExplanationSettings | None = None,
        *,
        timeout_s: float = 3600,
    ) -> Explanation:
        """Queue an explanation and wait for its end. Raises ExplanationFailed, TimeoutError."""
        return self.wait(self.submit(picture, settings).id, timeout_s=timeout_s)

    def wait(self, explanation_id: str, *, timeout_s: float = 3600) -> Explanation:
        """Wait for its end. Raises ExplanationFailed, TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = min(LONGEST_WAIT_S, deadline - time.monotonic())
            explanation = self._send(_read(explanation_id, max(1, left_s)))
            if explanation.done:
                return _succeeded(explanation)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{explanation_id} is {explanation.status} after {timeout_s} s")

    def get(self, explanation_id: str) -> Explanation:
        return self._send(_read(explanation_id))

    def attributions(self, explanation_id: str) -> Arrays:
        """values (H, W, C, K), base_values (K,), data (H, W, C), output_names, output_indices."""
        return self._send(_arrays(explanation_id))

    def heatmap(self, explanation_id: str, style: str = "figure", **params: Any) -> bytes:
        """A PNG: figure, overlay or heat; params as the query takes them."""
        return self._send(_heatmap(explanation_id, style, **params))

    def cancel(self, explanation_id: str) -> Explanation:
        return self._send(_cancel(explanation_id))

    def delete(self, explanation_id: str) -> None:
        self._send(_delete(explanation_id))

    def list(self, **params: Any) -> ExplanationList:
        return self._send(_list(**params))

    def models(self) -> ModelList:
        return self._send(_models())

    def model(self, name: str) -> ModelCard:
        return self._send(_model(name))

    def _send(self, call: Call[T]) -> T:
        return _parsed(call, self._http.request(call.method, call.path, **call.options))


class AsyncClient:
    """The same for asyncio."""

    def __init__(self, url: str = "http://127.0.0.1:8000", **options: Any) -> None:
        self._http = httpx.AsyncClient(base_url=url, **options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def submit(
        self, picture: Picture, settings: ExplanationSettings | None = None
    ) -> Explanation:
        return await self._send(_create(picture, settings))

    async def explain(
        self, picture: Picture, settings: ExplanationSettings | None = None
    ) -> Explanation:
        """Queue an explanation and wait for its end; bound it with asyncio.timeout."""
        explanation = await self.submit(picture, settings)
        while not explanation.done:
            explanation = await self._send(_read(explanation.id, LONGEST_WAIT_S))
        return _succeeded(explanation)

    async def get(self, explanation_id: str) -> Explanation:
        return await self._send(_read(explanation_id))

    async def attributions(self, explanation_id: str) -> Arrays:
        return await self._send(_arrays(explanation_id))

    async def heatmap(self, explanation_id: str, style: str = "figure", **params: Any) -> bytes:
        return await self._send(_heatmap(explanation_id, style, **params))

    async def cancel(self, explanation_id: str) -> Explanation:
        return await self._send(_cancel(explanation_id))

    async def delete(self, explanation_id: str) -> None:
        await self._send(_delete(explanation_id))

    async def list(self, **params: Any) -> ExplanationList:
        return await self._send(_list(**params))

    async def models(self) -> ModelList:
        return await self._send(_models())

    async def model(self, name: str) -> ModelCard:
        return await self._send(_model(name))

    async def _send(self, call: Call[T]) -> T:
        return _parsed(call, await self._http.request(call.method, call.path, **call.options))


def _parsed(call: Call[T], answer: httpx.Response) -> T:
    if "application/problem+json" in answer.headers.get("content-type", ""):
        raise ShapshotError(Problem.model_validate_json(answer.content))
    return call.parse(answer.raise_for_status())


def _succeeded(explanation: Explanation) -> Explanation:
    if explanation.error:
        raise ExplanationFailed(explanation.error)
    return explanation


def _document(answer: httpx.Response) -> Explanation:
    return Explanation.model_validate_json(answer.content)


def _model_reader(kind: type[T]) -> Callable[[httpx.Response], T]:
    return lambda answer: kind.model_validate_json(answer.content)  # type: ignore[attr-defined]


def _npz(answer: httpx.Response) -> Arrays:
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as arrays:
        return dict(arrays)
