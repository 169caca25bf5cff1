"""The Python client of Shapshot: `from shapshot import Client`."""

from service.client import (
    AsyncClient,
    Attributions,
    BatchAttributions,
    BatchGroup,
    Client,
    ExplanationCanceledError,
    ExplanationFailedError,
    IncompleteBatchError,
    ShapshotError,
    to_shap,
)
from service.schemas.documents import Batch, Explanation, Status
from service.schemas.requests import (
    ExplanationSettings,
    Grid,
    Labels,
    Outputs,
    PinnedModel,
    Pixels,
    Slic,
)
from service.schemas.scores import Coalition

__all__ = [
    "AsyncClient",
    "Attributions",
    "Batch",
    "BatchAttributions",
    "BatchGroup",
    "Client",
    "Coalition",
    "Explanation",
    "ExplanationCanceledError",
    "ExplanationFailedError",
    "ExplanationSettings",
    "Grid",
    "IncompleteBatchError",
    "Labels",
    "Outputs",
    "PinnedModel",
    "Pixels",
    "ShapshotError",
    "Slic",
    "Status",
    "to_shap",
]
