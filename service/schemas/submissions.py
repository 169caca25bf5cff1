"""The JSON forms of the requests that submit pictures with the settings of their explanations."""

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from service.schemas.requests import (
    MAX_IMAGES_IN_BATCH,
    MAX_URL,
    BatchSettings,
    ExplanationSettings,
    RequestModel,
)

MAX_FILE_NAME = 4096  # characters received, with directories
IMAGE_URL = (
    "https:// address of the picture, in place of the picture, on servers that fetch pictures "
    "(SHAPSHOT_PICTURE_URLS)"
)


class ExplanationRequest(RequestModel):
    """The JSON form of `POST /v1/explanations`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["image"]}, {"required": ["image_url"]}]}
    )

    image: str | None = Field(
        default=None,
        description="The picture in base64 (line breaks, the URL-safe alphabet, missing padding "
        "and a data: URL are accepted)",
    )
    image_url: str | None = Field(default=None, max_length=MAX_URL, description=IMAGE_URL)
    name: str | None = Field(
        default=None,
        max_length=MAX_FILE_NAME,
        description="File name of the picture; its base name is kept as `image.name`",
    )
    label_map: str | None = Field(
        default=None, description="The label map in base64, if superpixels are labels"
    )
    settings: ExplanationSettings = Field(default_factory=lambda: ExplanationSettings())

    @property
    def pictures(self) -> list[str]:
        return [] if self.image is None else [self.image]

    @property
    def urls(self) -> list[str]:
        return [] if self.image_url is None else [self.image_url]

    @property
    def file_names(self) -> list[str | None]:
        return [self.name]


class BatchRequest(RequestModel):
    """The JSON form of `POST /v1/batches`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["images"]}, {"required": ["image_urls"]}]}
    )

    images: list[str] = Field(
        default_factory=list,
        max_length=MAX_IMAGES_IN_BATCH,
        description="Each picture in base64 (a data: URL is accepted)",
    )
    image_urls: list[Annotated[str, Field(max_length=MAX_URL)]] = Field(
        default_factory=list,
        max_length=MAX_IMAGES_IN_BATCH,
        description=f"{IMAGE_URL}; one for each picture",
    )
    names: list[Annotated[str, Field(max_length=MAX_FILE_NAME)] | None] | None = Field(
        default=None,
        max_length=MAX_IMAGES_IN_BATCH,
        description="File name of each picture, or null; their base names are kept",
    )
    label_map: str | None = Field(
        default=None,
        description="The label map of all pictures in base64, if superpixels are labels",
    )
    settings: BatchSettings = Field(default_factory=lambda: BatchSettings())

    @property
    def pictures(self) -> list[str]:
        return self.images

    @property
    def urls(self) -> list[str]:
        return self.image_urls

    @property
    def file_names(self) -> list[str | None]:
        return self.names or [None] * len(self.images or self.image_urls)

    @model_validator(mode="after")
    def _name_for_each(self) -> "BatchRequest":
        count = len(self.images or self.image_urls)
        if self.names is not None and len(self.names) != count:
            raise ValueError(
                f"names must have one entry for each of the {count} pictures; received "
                f"{len(self.names)}"
            )
        return self
