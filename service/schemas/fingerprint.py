"""The fingerprint of a model, a digest of everything that can change a score or its label.

Two models with the same fingerprint are the same function of a photo, computed in the same way.
Device and library versions are not included: they change scores by rounding only.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from service.schemas.base import ResponseModel
from service.schemas.requests import Fit

# String arrays in an npz; the last holds JSON. Of the compared model only where there is one
MODEL_ENTRIES = ("model_name", "model_fingerprint", "model_parts")
COMPARED_ENTRIES = ("compared_name", "compared_fingerprint", "compared_parts")

Digest = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]


class ModelParts(ResponseModel):
    """The parts of a model that its fingerprint covers; they show how two models differ."""

    architecture: Digest = Field(
        description="Digest of the layers or operations and their connections, without names"
    )
    weights: Digest = Field(
        description="Digest of the shape, type and numbers of each array, in order"
    )
    labels: Digest = Field(description="Digest of the labels in order, as a JSON list")
    preprocessing: str = Field(description="Transformation of pixel values before the model")
    fit: Fit = Field(description="How a photo is fitted to the input size")
    input_shape: tuple[int, int, int] = Field(description="Height, width, channels")
    backend: str = Field(description="Library that runs the model")
    dtype: str = Field(description="Number type of its computation")


class ModelRef(ResponseModel):
    """The model that was, or will be, explained."""

    name: str
    fingerprint: Digest | None = Field(
        description="sha256 of its parts; null until a worker has loaded the model"
    )
    parts: ModelParts | None


def fingerprint_of(parts: ModelParts) -> str:
    """Compute the fingerprint: sha256 of the parts as canonical JSON."""
    return digest_of_json(parts.model_dump(mode="json"))


def model_ref(name: str, parts: ModelParts | None, fit: Fit) -> ModelRef:
    """Build the ModelRef of a request with its fit; parts: those of the model's card."""
    if parts is None:
        return ModelRef(name=name, fingerprint=None, parts=None)
    chosen = parts.model_copy(update={"fit": fit})
    return ModelRef(name=name, fingerprint=fingerprint_of(chosen), parts=chosen)


def differing_parts(before: ModelRef, now: ModelRef) -> str:
    """Name the parts in which two models differ, such as "backend and weights"."""
    old, new = dict(before.parts or ()), dict(now.parts or ())
    return " and ".join(name for name in new if old.get(name) != new[name])


def labels_digest(labels: Sequence[str]) -> str:
    return digest_of_json(list(labels))


def digest_of_json(value: Any) -> str:
    """Hash a value as JSON with sorted keys, no spaces, ASCII only; returns sha256:<hex>."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
