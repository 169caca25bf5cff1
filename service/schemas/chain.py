"""The chain of signed statements, as it is listed for auditors."""

from typing import Literal

from pydantic import Field

from service.schemas.base import ResponseModel
from service.schemas.evidence import Sha256


class ChainItem(ResponseModel):
    """A signed statement; it stays in the chain when what it is about is gone."""

    sequence: int = Field(ge=0, description="Number of statements sealed before it")
    id: str = Field(
        description="Of the explanation; of an audit segment, that of the log's last entry in it"
    )
    sha256: Sha256 = Field(description="Of its payload")
    kind: Literal["record", "review", "audit"]


class ChainPage(ResponseModel):
    items: list[ChainItem] = Field(description="In order, without a gap")
    length: int = Field(ge=0, description="Number of statements in the whole chain")
    next_after: int | None = Field(
        description="`after` of the next page; null: this page ends the chain"
    )
