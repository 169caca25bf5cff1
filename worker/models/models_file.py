"""Reads and validates the models file, the TOML file that lists the models."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from service.schemas.requests import Fit
from worker.models.errors import RegistryError
from worker.models.packaged import PackagedNetwork
from worker.models.preprocessing import Preprocessing, PreprocessingOrName
from worker.models.text_files import TextEncodingError, read_text

SOURCES = ("file", "saved_model", "application", "package")
FILE_SUFFIXES = (".keras", ".h5", ".hdf5")

Backend = Literal["auto", "tensorflow", "tensorflow-frozen", "openvino", "jax"]
Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: dict[Backend, tuple[Precision, ...]] = {
    "openvino": ("float32", "bfloat16"),
    "jax": ("float32", "bfloat16", "float16"),
}

Shape = tuple[PositiveInt, PositiveInt, Literal[1, 3]]


def _of_keras(path: Path) -> Path:
    if path.suffix not in FILE_SUFFIXES:
        raise ValueError(f"accepted are {', '.join(FILE_SUFFIXES)} files; received {path.name}")
    return path


# Relative to the folder of the models file, which is the context of the validation
RelativePath = Annotated[Path, AfterValidator(lambda path, info: Path(info.context or "") / path)]
KerasFile = Annotated[RelativePath, AfterValidator(_of_keras)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class ModelEntry(BaseModel):
    """One model; exactly one key of SOURCES must name its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: KerasFile | None = None
    saved_model: RelativePath | None = None
    application: str | None = None
    package: PackagedNetwork | None = None
    weights: Literal["imagenet", "none"] | KerasFile | None = None
    labels: list[str] | Literal["imagenet"] | RelativePath | None = None
    preprocessing: PreprocessingOrName | None = None
    backend: Backend = "auto"
    precision: Precision | None = None
    fit: Fit = "crop"
    fits: tuple[Fit, ...] = Field(default=get_args(Fit), min_length=1)
    input_shape: Shape | None = None
    max_bytes: PositiveInt = 4 * 2**30  # of its weights, unpacked
    description: str | None = None
    data: str | None = None
    accuracy: str | None = None
    limits: str | None = None
    license: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _first_fit_by_default(cls, value: dict[str, Any]) -> dict[str, Any]:
        fits = value.get("fits")
        return {"fit": fits[0], **value} if isinstance(fits, list) and fits else value

    @model_validator(mode="after")
    def _fit_is_allowed(self) -> "ModelEntry":
        if self.fit not in self.fits:
            raise ValueError(f"fit is {self.fit}, but fits are {', '.join(self.fits)}")
        return self

    @model_validator(mode="after")
    def _one_source(self) -> "ModelEntry":
        given = [key for key in SOURCES if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of {', '.join(SOURCES)} is needed; received "
                f"{', '.join(given) or 'none'}"
            )
        return self

    @model_validator(mode="after")
    def _keys_of_its_source(self) -> "ModelEntry":
        if self.application is None and self.weights is not None:
            raise ValueError("weights is accepted with application only: files have their own")
        if self.file is None and self.saved_model is None and self.preprocessing is not None:
            raise ValueError(
                "preprocessing is accepted with file and saved_model only: applications and "
                "packages have their own"
            )
        return self

    @model_validator(mode="after")
    def _precision_of_its_backend(self) -> "ModelEntry":
        if self.precision is None or self.precision in PRECISIONS.get(self.backend, ()):
            return self
        accepted = ", ".join(f"{name}: {' '.join(each)}" for name, each in PRECISIONS.items())
        raise ValueError(
            f"backend {self.backend} does not take precision {self.precision}; accepted are "
            f"{accepted}; TensorFlow computes in the precision of the saved model"
        )

    @model_validator(mode="after")
    def _jax_runs_keras(self) -> "ModelEntry":
        if self.backend == "jax" and self.saved_model is not None:
            raise ValueError(
                "backend jax does not run saved_model; file, application and package are accepted"
            )
        return self

    @property
    def keras_backend(self) -> Literal["tensorflow", "jax"]:
        """The Keras backend that loading the model needs."""
        return "jax" if self.backend == "jax" else "tensorflow"

    @property
    def preprocessing_text(self) -> str:
        """The description of the preprocessing on the model's card."""
        if self.application is not None:
            return f"preprocess_input of keras.applications for {self.application}"
        return str(self.preprocessing or Preprocessing())


class ModelFile(BaseModel):
    """The whole file: `[models.NAME]` tables, and `default` (the first of them if absent).

    Of several defaults, the first whose extra is installed is used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: list[str] = Field([], min_length=1)
    models: dict[Name, ModelEntry] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _first_by_default(cls, value: dict[str, Any]) -> dict[str, Any]:
        models = value.get("models")
        first = next(iter(models), "") if isinstance(models, dict) else ""
        default = value.get("default", first)
        return {**value, "default": default if isinstance(default, list) else [default]}

    @model_validator(mode="after")
    def _defaults_exist(self) -> "ModelFile":
        for name in self.default:
            if name not in self.models:
                raise ValueError(
                    f"default is {name!r}, but the models are {', '.join(self.models)}"
                )
        return self


def read_model_file(path: Path) -> ModelFile:
    """Read and check the file; paths in it are relative to its folder. Raises RegistryError."""
    try:
        content = tomllib.loads(read_text(path))
    except TextEncodingError as error:
        raise RegistryError(f"{error}") from error
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RegistryError(f"{path} is not TOML: {error}") from error
    try:
        return ModelFile.model_validate(content, context=path.parent)
    except ValidationError as error:
        places: dict[str, list[str]] = {}
        for each in error.errors(include_url=False):
            places.setdefault(_place(each["loc"]), []).append(_message(each))
        lines = [f"{path}: {place}{'; '.join(messages)}" for place, messages in places.items()]
        raise RegistryError("\n".join(lines)) from error


def _place(loc: tuple[int | str, ...]) -> str:
    """Convert ("models", NAME, KEY, …) to "model NAME, key KEY: "."""
    if len(loc) < 2 or loc[0] != "models":
        return f"key {loc[0]}: " if loc else ""
    key = f", key {loc[2]}" if len(loc) > 2 and loc[2] != "[key]" else ""
    return f"model {loc[1]!r}{key}: "


def _message(error: ErrorDetails) -> str:
    kind, loc, message = error["type"], error["loc"], error["msg"]
    if kind == "extra_forbidden":
        tables: dict[int, type[BaseModel]] = {1: ModelFile, 3: ModelEntry}
        table = tables.get(len(loc), Preprocessing)
        return f"unknown key {loc[-1]}; accepted are {', '.join(table.model_fields)}"
    if kind in ("value_error", "missing"):
        return message.removeprefix("Value error, ")
    return f"{message}; received {error['input']!r}"
