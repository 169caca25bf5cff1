"""The settings of requests: how to explain a picture.

Unknown fields are rejected. Every field has a default; responses echo all of them, resolved.
"""

import json
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    JsonValue,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from service.schemas.masker_setting import MASKER_PATTERN

MAX_METADATA_BYTES = 16_384
MAX_IMAGES_IN_BATCH = 32  # pictures
MAX_URL = 2000  # characters
MAX_SUPERPIXELS = 1000  # or regions of a label map; for more, use pixels


class RequestModel(BaseModel):
    """Base of what clients send."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )


# --- Which model


class PinnedModel(RequestModel):
    """A model by name and fingerprint; refused with 409 if another fingerprint is served."""

    name: str = Field(max_length=200)
    fingerprint: str = Field(
        pattern="^sha256:[0-9a-f]{64}$", description="As in its card and in earlier explanations"
    )


ModelChoice = Annotated[
    Annotated[str, Field(max_length=200), Tag("name")] | Annotated[PinnedModel, Tag("PinnedModel")],
    # Errors refer to the form that was used
    Discriminator(lambda model: "PinnedModel" if isinstance(model, dict | PinnedModel) else "name"),
]


# --- Which outputs


class Outputs(RequestModel):
    """Which outputs of the model to explain: exactly one of the three."""

    top: int | None = Field(default=None, ge=1, description="The k outputs with the highest score")
    indices: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None, min_length=1, max_length=1000
    )
    labels: list[str] | None = Field(default=None, min_length=1, max_length=1000)

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
    """Every pixel is a player; with channels apart, as in shap, every channel of every pixel."""

    kind: Literal["pixels"]
    channels: Literal["apart", "together"] = "apart"


class Grid(RequestModel):
    """Rectangles in rows and columns."""

    kind: Literal["grid"]
    rows: int = Field(default=4, ge=1, le=224)
    columns: int = Field(default=4, ge=1, le=224)

    @model_validator(mode="after")
    def _not_too_many(self) -> "Grid":
        count = self.rows * self.columns
        if count > MAX_SUPERPIXELS:
            raise ValueError(f"a grid may have {MAX_SUPERPIXELS} cells; received {count}")
        return self


class Slic(RequestModel):
    """Superpixels by SLIC, computed on the picture as the model sees it."""

    kind: Literal["slic"]
    segments: int = Field(
        default=50, ge=2, le=MAX_SUPERPIXELS, description="Approximate number of superpixels"
    )
    compactness: FiniteFloat = Field(
        default=30.0, gt=0, le=10_000, description="Weight of distance against difference of colour"
    )
    sigma: FiniteFloat = Field(
        default=3.0,
        ge=0,
        le=50,
        description="Standard deviation of the Gaussian smoothing, in pixels",
    )


class Labels(RequestModel):
    """Your own regions, uploaded with the picture as `label_map`."""

    kind: Literal["labels"]


Superpixels = Annotated[Pixels | Grid | Slic | Labels, Field(discriminator="kind")]


# --- Everything else


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


ClassChoice = Annotated[
    Annotated[str, Field(min_length=1, max_length=1000), Tag("label")]
    | Annotated[int, Field(ge=0), Tag("index")],
    Discriminator(lambda name: "index" if isinstance(name, int) else "label"),
]  # a class of the model


class ExplanationSettings(RequestModel):
    """How to explain a picture; every field has a default, and responses echo all of them."""

    model: ModelChoice | None = Field(
        default=None,
        description="Name of the model, or name and fingerprint; null: the default model",
    )
    compare_with: ModelChoice | None = Field(
        default=None,
        description="Name, or name and fingerprint, of a second model to explain by the same "
        "coalitions. Every output then has three results: that of `model`, that of this one for "
        "the class with the same label, and their difference. Each coalition is scored by both, so "
        "it takes twice the evaluations",
    )
    method: Method = Field(
        default="partition", description="Attribution method; see GET /v1/methods"
    )
    masker: str = Field(
        default="inpaint_telea",
        pattern=MASKER_PATTERN,
        description="How hidden pixels are filled: inpaint_telea, inpaint_ns, blur(kx,ky), mean, "
        "constant(v) or constant(r,g,b), in pixel values 0-255",
        examples=["inpaint_telea", "inpaint_ns", "blur(16,16)", "mean", "constant(127,127,127)"],
    )
    fit: Fit | None = Field(
        default=None,
        description="How the photo is fitted to the model's input: crop keeps the largest centred "
        "part with the input's aspect ratio; stretch distorts the whole photo; pad keeps the whole "
        "photo undistorted and fills the border as the masker fills a fully hidden picture; null: "
        "the model's default. The model's card lists the `fits` it allows",
    )
    superpixels: Superpixels | None = Field(
        default=None,
        description="The players; null: the default of the method (see GET /v1/methods)",
    )
    outputs: Outputs | None = Field(
        default=None,
        description="Outputs to explain; null: the 4 with the highest score, or all if fewer",
    )
    max_evals: int | None = Field(
        default=None,
        ge=2,
        description="Evaluations of the model, including the two of the whole and of the fully "
        "hidden picture; null: the default for the method and the number of players",
    )
    batch_size: int = Field(
        default=50,
        ge=1,
        le=100_000,
        description="Logical batch size; changes the values of partition, as in shap",
    )
    fixed_context: Literal[0, 1] | None = Field(
        default=None,
        description="For partition: scores each half with the other half hidden (0), visible (1), "
        "or in both ways (null)",
    )
    regularization: Literal["auto", "none"] = Field(
        default="auto",
        description="For kernel. auto: regularizes by a prior if there are few evaluations for the "
        "number of players; none: never regularizes, and gives shap's values even if they are far "
        "off",
    )
    sampling: Literal["adaptive", "random"] = Field(
        default="adaptive",
        description="For gaussian_process. adaptive: draws the first pairs of coalitions, and "
        "chooses the next ones by the scores so far, which takes fewer evaluations for the same "
        "error; random: draws all, so that coalitions depend on nothing but the seed",
    )
    prior: Literal["picture", "uniform"] = Field(
        default="picture",
        description="For gaussian_process. picture: expects more of superpixels that are large, "
        "central, full of edges, and changed much by masking, and more interactions among near "
        "ones, which takes fewer evaluations for the same error; uniform: expects the same of all",
    )
    score_scale: Literal["auto", "linear"] = Field(
        default="auto",
        description="For gaussian_process. auto: models scores that all lie in 0..1, such as "
        "probabilities, on a scale that stretches both ends, where players add up more nearly, "
        "which takes fewer evaluations for the same error; linear: models scores as they are",
    )
    interactions: Literal[1, 2] = Field(
        default=1,
        description="For gaussian_process of at most 50 superpixels. 2: divides the credit among "
        "superpixels alone and pairs of them (k-SII of order 2), at no further evaluation; 1: "
        "does not",
    )
    solution_concept: Literal["shapley", "owen"] | None = Field(
        default=None,
        description="For gaussian_process, which values are estimated. shapley: Shapley values; "
        "owen: the Owen values of the players' tree, which partition computes, so that neighbours "
        "share credit as the tree groups them; null: shapley. Other methods have values of their "
        "own, see GET /v1/methods",
    )
    target_standard_error: FiniteFloat | None = Field(
        default=None,
        gt=0,
        description="Stop early once every standard error is at most this, in units of the score",
    )
    link: Literal["identity", "logit"] = Field(
        default="identity",
        description="Applied to the scores. logit: log-odds of probabilities p, log(p / (1 - p)). "
        "Where p is within 7.6e-6 of 1 (log-odds above 11.8), float32 leaves little of 1 - p: if "
        "the scores of the picture and of the masked picture add up to 1, the sum of the other "
        "scores stands for it, so that two classes mirror each other. p = 0 counts as 1.4e-45 "
        "(-103.3); p = 1, of scores that do not add up to 1, as 1 - 6e-8 (16.6)",
    )
    metrics: list[Metric] = Field(
        default_factory=list,
        description="Faithfulness curves to compute; their evaluations are not part of max_evals",
    )
    seed: int = Field(
        default=0, ge=0, le=2**32 - 1, description="Seed of random methods and of the order of ties"
    )
    priority: Priority | None = Field(
        default=None,
        description="Priority in the queue: both take turns, interactive more often; null: "
        "interactive for a single explanation, batch for a batch",
    )
    retention_s: int | None = Field(
        default=None,
        ge=1,
        description="Seconds that the explanation is kept after its end, up to what the key or the "
        "server allows; null: as long as that",
    )
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="Any JSON object of yours; stored and returned unchanged"
    )
    true_label: ClassChoice | None = Field(
        default=None,
        description="Label or index of the class that the picture truly shows, of each in a batch; "
        "changes no number; echoed as an index. Figures show it, and documents say whether the "
        "top class is `correct`",
    )

    @field_validator("fixed_context", "interactions", mode="before")
    @classmethod
    def _no_boolean(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool):  # True == 1 in Python, but a boolean is a mistake here
            expected = "0 or 1" if info.field_name == "fixed_context" else "1 or 2"
            raise PydanticKnownError("literal_error", {"expected": expected})
        return value

    @field_validator("metrics")
    @classmethod
    def _each_once(cls, metrics: list[Metric]) -> list[Metric]:
        if len(set(metrics)) != len(metrics):
            raise ValueError(f"each metric may be named once; received {metrics}")
        return metrics

    @field_validator("metadata")
    @classmethod
    def _finite_and_small(cls, metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            size = len(json.dumps(metadata, allow_nan=False).encode())
        except ValueError as error:
            raise ValueError("metadata must be JSON; NaN and infinity are not JSON") from error
        if size > MAX_METADATA_BYTES:
            raise ValueError(
                f"metadata may take {MAX_METADATA_BYTES} bytes as JSON; received {size}"
            )
        return metadata


class BatchSettings(ExplanationSettings):
    """How to explain the pictures of a batch."""

    true_labels: list[ClassChoice | None] | None = Field(
        default=None,
        max_length=MAX_IMAGES_IN_BATCH,
        description="The true_label of each picture by position, or null",
    )

    @model_validator(mode="after")
    def _one_way(self) -> "BatchSettings":
        if self.true_label is not None and self.true_labels is not None:
            raise ValueError("give true_label, for all pictures, or true_labels; received both")
        return self


class ResolvedSettings(ExplanationSettings):
    """Settings with all defaults resolved for the model and the method."""

    model: str
    compare_with: str | None = None
    fit: Fit
    superpixels: Superpixels
    outputs: Outputs
    max_evals: int
    # As versions without these settings did:
    sampling: Literal["adaptive", "random"] = "random"
    prior: Literal["picture", "uniform"] = "uniform"
    score_scale: Literal["auto", "linear"] = "linear"
    priority: Priority = "interactive"
    true_label: int | None = None
