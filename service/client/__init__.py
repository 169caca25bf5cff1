"""Typed clients of the HTTP API, blocking and async, over httpx; and conversion to shap."""

from service.client.asynchronous import AsyncClient
from service.client.attributions import Attributions, BatchAttributions
from service.client.batches import BatchGroup
from service.client.blocking import Client
from service.client.errors import (
    ExplanationCanceledError,
    ExplanationFailedError,
    IncompleteBatchError,
    ShapshotError,
)
from service.client.to_shap import to_shap

__all__ = [
    "AsyncClient",
    "Attributions",
    "BatchAttributions",
    "BatchGroup",
    "Client",
    "ExplanationCanceledError",
    "ExplanationFailedError",
    "IncompleteBatchError",
    "ShapshotError",
    "to_shap",
]
