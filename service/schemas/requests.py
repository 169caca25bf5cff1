"""Requests: a picture and the settings of its explanation.

Unknown fields are rejected. Every field has a default; responses echo all of them, resolved.
"""

import json
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    JsonValue,
    Tag,
    model_validator,
)
from pydantic_core import PydanticKnownError

from service.schemas.masker_setting import MASKER_PATTERN

MAX_METADATA_BYTES = 16_384
MAX_IMAGES_IN_BATCH = 32  # pictures
MAX_SUPERPIXELS = 1000  # or regions of a label map; for more, use pixels


class RequestModel(BaseModel):
    """Base of what clients send."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )


# --- Which model


class PinnedModel(RequestModel):
    """A model by name and fingerprint: refused, with 409, where another one is served."""

    name: str = Field(max_length=200)
    fingerprint: str = Field(
        pattern="^sha256:[0-9a-f]{64}$", description="As its card and earlier explanations give it"
    )


def _which(model: object) -> str:
    """Return the tag of the form used to name the model, so that errors refer to that form."""
    return PinnedModel.__name__ if isinstance(model, dict | PinnedModel) else "name"


ModelChoice = Annotated[
    Annotated[str, Field(max_length=200), Tag("name")] | Annotated[PinnedModel, Tag("PinnedModel")],
    Discriminator(_which),
]


# --- Which outputs


class Outputs(RequestModel):
    """Which outputs of the model to explain: exactly one of the three."""

    top: int | None = Field(None, ge=1, description="The k outputs with the highest score")
    indices: list[Annotated[int, Field(ge=0)]] | None = Field(None, min_length=1, max_length=1000)
    labels: list[str] | None = Field(None, min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _exactly_one(self) -> "Outputs":
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of top, indices and labels; received {given or 'none of them'}"
            )
        chosen = self.indices or self.labels or []
        if len(set(chosen)) != len(chosen):
            raise ValueError(f"each output may be named once; received {chosen}")
        return self


# --- Which players


class Pixels(RequestModel):
    """Every pixel plays; with its channels apart, as in shap, every channel of it does."""

    kind: Literal["pixels"]
    channels: Literal["apart", "together"] = "apart"


class Grid(RequestModel):
    """Rectangles in rows and columns."""

    kind: Literal["grid"]
    rows: int = Field(4, ge=1, le=224)
    columns: int = Field(4, ge=1, le=224)

    @model_validator(mode="after")
    def _not_too_many(self) -> "Grid":
        count = self.rows * self.columns
        if count > MAX_SUPERPIXELS:
            raise ValueError(f"a grid may have {MAX_SUPERPIXELS} cells; received {count}")
        return self


class Slic(RequestModel):
    """About so many superpixels by SLIC, computed on the picture as the model sees it."""

    kind: Literal["slic"]
    segments: int = Field(50, ge=2, le=MAX_SUPERPIXELS, description="How many, about")
    compactness: FiniteFloat = Field(
        30.0, gt=0, le=10_000, description="Weight of nearness against likeness of colour"
    )
    sigma: FiniteFloat = Field(
        3.0, ge=0, le=50, description="Pixels: width of the Gaussian that smooths before"
    )


class Labels(RequestModel):
    """Regions of your own, uploaded beside the picture as `label_map`."""

    kind: Literal["labels"]


Superpixels = Annotated[Pixels | Grid | Slic | Labels, Field(discriminator="kind")]


# --- Everything else


def _finite_and_small(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        size = len(json.dumps(metadata, allow_nan=False).encode())
    except ValueError as error:
        raise ValueError("metadata must be JSON; NaN and infinity are not") from error
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"metadata may take {MAX_METADATA_BYTES} bytes as JSON; received {size}")
    return metadata


Fit = Literal["crop", "stretch", "pad"]
Method = Literal["partition", "permutation", "kernel", "exact", "gaussian_process"]
Priority = Literal["interactive", "batch"]
Metric = Literal[
    "keep_positive",
    "keep_negative",
    "keep_absolute",
    "remove_positive",
    "remove_negative",
    "remove_absolute",
    "deletion",
    "insertion",
]


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):  # True == 1 in Python, but a boolean is a mistake here
        raise PydanticKnownError("literal_error", {"expected": "0 or 1"})
    return value


Context = Annotated[Literal[0, 1], BeforeValidator(_no_boolean)]


def _each_once(metrics: list[Metric]) -> list[Metric]:
    if len(set(metrics)) != len(metrics):
        raise ValueError(f"each metric may be named once; received {metrics}")
    return metrics


class ExplanationSettings(RequestModel):
    """How a picture is to be explained; every field has a default, and the answer echoes them."""

    model: ModelChoice | None = Field(
        None, description="Name of a model, with its fingerprint to pin it; null: the default"
    )
    method: Method = Field("partition", description="How credit is found; see GET /v1/methods")
    masker: str = Field(
        "inpaint_telea",
        pattern=MASKER_PATTERN,
        description="What hidden pixels get: inpaint_telea, inpaint_ns, blur(kx,ky), mean, "
        "constant(v) or constant(r,g,b), in pixel values 0-255",
        examples=["inpaint_telea", "inpaint_ns", "blur(16,16)", "mean", "constant(127,127,127)"],
    )
    fit: Fit | None = Field(
        None,
        description="How the photo is brought to the model's input: crop keeps the largest centred "
        "part of its aspect ratio, stretch distorts the whole, pad keeps the whole undistorted and "
        "surrounds it with what the masker paints where nothing is visible; null: the model's own. "
        "The model's card lists the `fits` it allows",
    )
    superpixels: Superpixels | None = Field(
        None, description="Who plays; null: what suits the method (see GET /v1/methods)"
    )
    outputs: Outputs | None = Field(
        None, description="Which outputs; null: the top 4, or all of a model with fewer"
    )
    max_evals: int | None = Field(
        None,
        ge=2,
        description="Evaluations of the model, the two base evaluations included; null: what suits "
        "the method and its players",
    )
    batch_size: int = Field(
        50, ge=1, le=100_000, description="Logical batch: it changes Partition's values, as in shap"
    )
    fixed_context: Context | None = Field(
        None, description="Partition's context: null both halves, 0 hidden only, 1 visible only"
    )
    regularization: Literal["auto", "none"] = Field(
        "auto",
        description="Kernel's: auto fits by a prior where there are few evaluations for the "
        "players; none never does, and gives shap's values however far they are off",
    )
    target_standard_error: FiniteFloat | None = Field(
        None,
        gt=0,
        description="Stop early once every standard error is at most this, in units of the score",
    )
    link: Literal["identity", "logit"] = Field(
        "identity",
        description="Applied to the scores. logit: log-odds of probabilities p, log(p / (1 - p)). "
        "Where p is within 7.6e-6 of 1 (log-odds above 11.8), float32 leaves little of 1 - p: if "
        "the scores of the picture and of the masked picture add up to 1, the sum of the other "
        "scores stands for it, so that two classes mirror each other. p = 0 counts as 1.4e-45 "
        "(-103.3); p = 1, of scores that do not add up to 1, as 1 - 6e-8 (16.6)",
    )
    metrics: Annotated[list[Metric], AfterValidator(_each_once)] = Field(
        default_factory=list,
        description="Curves of faithfulness to compute beside; they take evaluations of their own",
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of ties and of random methods")
    priority: Priority | None = Field(
        None,
        description="Who waits for whom: both take turns, interactive ones more often; null: "
        "interactive for an explanation, batch for a batch",
    )
    metadata: Annotated[dict[str, JsonValue], AfterValidator(_finite_and_small)] = Field(
        default_factory=dict, description="Kept with the explanation and echoed; yours to use"
    )


class ResolvedSettings(ExplanationSettings):
    """Settings after the model was looked up: nothing is left to a default."""

    model: str
    fit: Fit
    superpixels: Superpixels
    outputs: Outputs
    max_evals: int
    priority: Priority = "interactive"


class ExplanationRequest(RequestModel):
    """The JSON form of `POST /v1/explanations`."""

    image: str = Field(
        description="The picture's bytes in base64: in lines, for URLs, unpadded, or a data: URL"
    )
    label_map: str | None = Field(
        None, description="The label map's bytes in base64, where superpixels are labels"
    )
    settings: ExplanationSettings = Field(default_factory=lambda: ExplanationSettings())

    @property
    def pictures(self) -> list[str]:
        return [self.image]


class BatchRequest(RequestModel):
    """The JSON form of `POST /v1/batches`."""

    images: list[str] = Field(
        min_length=1,
        max_length=MAX_IMAGES_IN_BATCH,
        description="Each picture's bytes in base64 (a data: URL is accepted)",
    )
    label_map: str | None = Field(
        None, description="A label map's bytes in base64, for all of them"
    )
    settings: ExplanationSettings = Field(default_factory=lambda: ExplanationSettings())

    @property
    def pictures(self) -> list[str]:
        return self.images
