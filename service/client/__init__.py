"""Typed clients of the HTTP API, blocking and async, over httpx; and conversion to shap."""

from service.client.asynchronous import AsyncClient
from service.client.attributions import Attributions, BatchAttributions
from service.client.blocking import Client
from service.client.errors import ExplanationFailedError, ShapshotError
from service.client.to_shap import to_shap

__all__ = [
    "AsyncClient",
    "Attributions",
    "BatchAttributions",
    "Client",
    "ExplanationFailedError",
    "ShapshotError",
    "to_shap",
]
