"""The record of an explanation: what was asked, by which model, and what follows from what."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from service.schemas.base import ResponseModel
from service.schemas.documents import OWNER, ClassName, ImageInfo, LabelMapInfo, Status
from service.schemas.evidence import Evidence, Sha256
from service.schemas.requests import ResolvedSettings
from service.schemas.results import Outcome

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:shapshot:explanation-record:v1"
BUNDLE_TYPE = "urn:shapshot:explanation-bundle:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Subject(ResponseModel):
    """A file that the record speaks of."""

    name: str
    digest: dict[Literal["sha256"], Sha256] = Field(min_length=1)


class Chain(ResponseModel):
    """The place of a record among all that a server sealed."""

    sequence: int = Field(ge=0, description="Number of statements sealed before it")
    previous: Sha256 | None = Field(
        description="sha256 of the payload of the statement before it, a record, a review or a "
        "segment of the audit log; null: it is the first"
    )


class Record(ResponseModel):
    """The predicate: an explanation that has ended with a result."""

    id: str
    sealed_at: AwareDatetime = Field(description="By the clock of Redis, in UTC")
    chain: Chain
    owner: str | None = Field(description=OWNER)
    purpose: str | None = Field(description="`purpose` of the metadata; null: none was given")
    status: Status
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int
    cached_from: str | None = Field(
        description="Id of the explanation that the result was cached from; null: computed"
    )
    reproduces: str | None = Field(
        None,
        description="Id of the explanation that it runs again; null, or absent from older records: "
        "none",
    )
    picture: ImageInfo
    label_map: LabelMapInfo | None
    true_label: ClassName | None
    settings: ResolvedSettings = Field(description="All settings, with their defaults")
    result: Outcome = Field(
        description="Model with its fingerprint and parts, outputs with base value and score, "
        "warnings, metrics, runtime with versions"
    )
    evidence: Evidence


class SignedStatement(ResponseModel):
    """An in-toto statement (https://in-toto.io/Statement/v1); each kind adds its predicate."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[Subject]

    @property
    def signed_at(self) -> datetime:
        raise NotImplementedError


class Statement(SignedStatement):
    """An in-toto statement (https://in-toto.io/Statement/v1) about the files of an explanation."""

    predicateType: Literal["urn:shapshot:explanation-record:v1"]  # noqa: N815 - in-toto's name
    predicate: Record

    @property
    def signed_at(self) -> datetime:
        return self.predicate.sealed_at


class Bundle(ResponseModel):
    """The predicate of a bundle: the explanation that its files belong to."""

    id: str
    made_at: AwareDatetime = Field(description="By the clock of Redis, in UTC")


class BundleStatement(SignedStatement):
    """An in-toto statement about the files of a bundle."""

    predicateType: Literal["urn:shapshot:explanation-bundle:v1"]  # noqa: N815 - in-toto's name
    predicate: Bundle

    @property
    def signed_at(self) -> datetime:
        return self.predicate.made_at


class Signature(ResponseModel):
    keyid: str = Field(description="RFC 7638 thumbprint of the public key")
    sig: str = Field(description="Ed25519 (RFC 8032) over the pre-authentication encoding, base64")


class Envelope(ResponseModel):
    """A DSSE envelope (https://github.com/secure-systems-lab/dsse) around a statement."""

    payloadType: str  # noqa: N815 - DSSE's name
    payload: str = Field(description="The statement as canonical JSON (RFC 8785), base64")
    signatures: list[Signature]
