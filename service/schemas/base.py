"""The base class of responses."""

from pydantic import BaseModel, ConfigDict


class ResponseModel(BaseModel):
    """A response; its fields have no defaults, so that OpenAPI requires them. Absent: null."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
