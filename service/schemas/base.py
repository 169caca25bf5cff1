"""The base class of responses."""

from pydantic import BaseModel, ConfigDict


class ResponseModel(BaseModel):
    """A field has no default, so that OpenAPI calls it required: what is absent is null."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
