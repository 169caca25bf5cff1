"""All settings of a process, one field per environment variable `SHAPSHOT_…`.

The entry points read them once and pass them down; no other code reads the environment.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.infra.root_path import checked_root_path

Origin = Annotated[str, Field(pattern=r"^https?://[^\s/*,]+$")]
Limit = Annotated[str, Field(pattern=r"^([1-9]\d{0,8}/(second|minute|hour|day)|off)$")]
HostName = Annotated[
    str, Field(pattern=r"^((\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])$")
]
Network = IPv4Network | IPv6Network
Of = TypeVar("Of", bound=BaseSettings)


class SettingsError(Exception):
    """Environment variables have invalid values; the message names each."""


def read_settings(kind: type[Of]) -> Of:
    """Read settings from the environment. Raises SettingsError."""
    try:
        return kind()
    except ValidationError as error:
        prefix = str(kind.model_config["env_prefix"])
        wrong = [_complaint(prefix, each) for each in error.errors()]
        raise SettingsError(" · ".join(wrong)) from None


def _complaint(prefix: str, error: ErrorDetails) -> str:
    variable = f"{prefix}{error['loc'][0]}".upper()
    said = error["msg"].removeprefix("Value error, ")
    return f"{variable}: {said}; received {_without_password(str(error['input']))[:200]!r}"


def _without_password(url: str) -> str:
    return re.sub(r"//[^/]*@", "//…@", url)


def _of_redis(url: str) -> str:
    from redis.connection import parse_url  # slow: imports OpenTelemetry if installed

    parse_url(url)  # type: ignore[no-untyped-call]  # raises ValueError
    return url


class Settings(BaseSettings):
    """The operator's settings: `redis_url` is the variable `SHAPSHOT_REDIS_URL`, and so on."""

    model_config = SettingsConfigDict(
        env_prefix="SHAPSHOT_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    # Shared by the API and the worker
    redis_url: Annotated[str, AfterValidator(_of_redis)] = Field(
        "redis://127.0.0.1:6379/0", description="Redis: redis://, rediss:// or unix:// URL"
    )
    store_url: str = Field(
        "file:./var/store",
        pattern="^(file:|memory:|s3://)",
        description="Artefacts: file:FOLDER, memory: or s3://BUCKET/PREFIX",
    )
    store_connect_s: float = Field(
        2,
        gt=0,
        description="Longest wait for a connection to the store; readiness asks it no longer",
    )
    store_read_s: float = Field(
        10, gt=0, description="Longest silence of the store within an answer (S3)"
    )
    store_total_s: float = Field(
        20,
        gt=0,
        description="Longest call of the store by the API, all tries together, and a third of the "
        "worker's; of large content a second more for each MiB",
    )
    queue: str = Field("shapshot", description="Name of the queue; one queue per worker process")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lines that say less are left out"
    )
    log_json: bool = Field(True, description="JSON log lines; otherwise lines for a person")
    lease_s: int = Field(
        30, ge=2, description="A worker silent for so long has lost its job (whole seconds)"
    )
    retention_s: int = Field(7 * 86400, ge=1, description="How long a finished explanation is kept")
    tombstone_s: int = Field(30 * 86400, ge=1, description="How long an expired one answers 410")
    max_values: int = Field(
        40_000_000,
        ge=1000,
        description="Numbers held of an explanation: its values, errors and scores; beyond it 422",
    )

    # The API
    host: str = Field("127.0.0.1", description="Address the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on")
    keys_file: Path | None = Field(
        None, description="Who may use the API (`shapshot keys`); unset: all, on loopback only"
    )
    rate_limit: Limit = Field(
        "600/minute", description="Requests of one name, such as 20/second, or off; beyond it 429"
    )
    wrong_keys_limit: Limit = Field(
        "10/minute", description="Wrong keys of one address, or off; beyond it 429 to wrong keys"
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (), description="Origins, by commas, whose pages may call the API; none by default"
    )
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode] = Field(
        (),
        description="Names, by commas, that requests may call the API by, such as *.example.org; "
        "without keys beside localhost, with keys unset: any",
    )
    root_path: Annotated[str, AfterValidator(checked_root_path)] = Field(
        "",
        description="Path under which a proxy shows the API, such as /shapshot; unset: what a "
        "trusted proxy says in X-Forwarded-Prefix, or none",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (ip_network("127.0.0.1"), ip_network("::1")),
        description="Addresses and networks, by commas, whose X-Forwarded-For, -Proto and -Prefix "
        "are believed; `none`: nobody's",
    )
    max_upload_bytes: int = Field(20 * 2**20, ge=1, description="Largest request body")
    uploads_at_once: int = Field(
        16, ge=1, description="Largest bodies held in memory together; beyond it 503"
    )
    head_timeout_s: float = Field(
        10, gt=0, description="Longest wait for a request's head, or for the rest of one answered"
    )
    body_patience_s: float = Field(
        20, gt=0, description="How long a body may stall; min_upload_rate wins it back"
    )
    min_upload_rate: int = Field(
        16_384, ge=1, description="Bytes a second below which a body uses up its patience; then 408"
    )
    answer_patience_s: float = Field(
        20, gt=0, description="How long a client may not read; min_answer_rate wins it back"
    )
    min_answer_rate: int = Field(
        16_384, ge=1, description="Bytes a second below which a client is cut off after a while"
    )
    max_answer_bytes: int = Field(
        128 * 2**20, ge=1, description="Memory for large answers on their way; beyond it 503"
    )
    max_working_bytes: int = Field(
        768 * 2**20,
        ge=1,
        description="Memory to check uploads and to draw in; beyond it requests wait, then 503",
    )
    max_pixels: int = Field(50_000_000, ge=1, description="Largest picture, width x height")
    max_evals: int = Field(100_000, ge=2, description="Largest max_evals a request may ask for")
    max_queued: int = Field(1000, ge=1, description="Explanations that may wait; beyond it 503")
    max_queued_bytes: int = Field(
        2 * 2**30, ge=1, description="Bytes uploaded for those that wait; beyond it 503"
    )
    max_queued_per_key: int = Field(
        200, ge=1, description="Explanations of one key that may wait; beyond it 429"
    )
    max_queued_bytes_per_key: int = Field(
        512 * 2**20, ge=1, description="Bytes uploaded for those of one key; beyond it 429"
    )
    interactive_share: int = Field(
        4,
        ge=1,
        le=1000,
        description="Interactive explanations begun for each of a batch's, while both wait",
    )
    idempotency_s: int = Field(86400, ge=1, description="How long an Idempotency-Key is remembered")

    # The worker
    models: Path | None = Field(
        None, description="TOML file of models; unset: the bundled ones (see worker/bundled)"
    )
    weights_cache: Path | None = Field(
        None, description="Folder where Keras keeps downloaded weights; unset: Keras's own"
    )
    deadline_s: int = Field(
        3600,
        ge=1,
        description="Longest run of an explanation; of n side by side, all together n times it",
    )
    grace_s: int = Field(
        30, ge=1, description="After the deadline, how long until the process ends"
    )
    max_attempts: int = Field(3, ge=1, description="Starts of a job before it fails for good")
    threads: int = Field(0, ge=0, description="Masking threads; 0: one per core")
    alive_file: Path | None = Field(
        None, description="File touched several times a lease, for a probe of the process; or none"
    )

    @field_validator("cors_origins", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, text: str | tuple[str, ...]) -> tuple[str, ...]:
        parts = text.split(",") if isinstance(text, str) else text
        return tuple(part.strip() for part in parts)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, text: str | tuple[Network, ...]) -> tuple[Network, ...]:
        if not isinstance(text, str):
            return text
        parts = [] if text == "none" else text.split(",")
        return tuple(ip_network(part.strip()) for part in parts)


class S3Settings(BaseSettings):
    """The S3 variables that this service passes to the client; the client reads the others itself.

    The others are AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and further credentials.
    """

    model_config = SettingsConfigDict(
        env_prefix="AWS_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    endpoint_url: str | None = Field(None, description="Of another S3 server than Amazon's")
    allow_http: bool = Field(False, description="True: the endpoint may be http://")


class TraceSettings(BaseSettings):
    """OpenTelemetry's variables that this service reads; the SDK reads the rest."""

    model_config = SettingsConfigDict(
        env_prefix="OTEL_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    exporter_otlp_endpoint: str | None = Field(None, description="Where spans go; unset: nowhere")
    exporter_otlp_traces_endpoint: str | None = Field(None, description="The same, path included")
    traces_exporter: str = Field("otlp", description="otlp or none")
    sdk_disabled: bool = Field(False, description="True: as if no endpoint were set")

    @property
    def wanted(self) -> bool:
        endpoint = self.exporter_otlp_traces_endpoint or self.exporter_otlp_endpoint
        return bool(endpoint) and not self.sdk_disabled and self.traces_exporter != "none"
