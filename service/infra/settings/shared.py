"""Settings that the API and the worker have in common."""

from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SharedSettings(BaseSettings):
    """The field `redis_url` is read from the variable `SHAPSHOT_REDIS_URL`, and so on."""

    model_config = SettingsConfigDict(
        env_prefix="SHAPSHOT_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", description="URL of Redis: redis://, rediss:// or unix://"
    )
    store_url: str = Field(
        "file:./var/store",
        pattern="^(file:|memory:|s3://)",
        description="Artifact store: file:FOLDER, memory: or s3://BUCKET/PREFIX",
    )
    store_connect_s: float = Field(
        2,
        gt=0,
        description="Timeout of a connection to the store and of its readiness check, in seconds",
    )
    store_read_s: float = Field(
        10, gt=0, description="Longest pause within a response of the S3 store, in seconds"
    )
    store_total_s: float = Field(
        20,
        gt=0,
        description="Timeout of a store operation of the API, retries included, in seconds; the "
        "worker allows three times as long, and each MiB transferred adds one second",
    )
    queue: str = Field(
        "shapshot", description="Name of the queue; each worker process serves one queue"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged"
    )
    log_json: bool = Field(True, description="True: log lines in JSON; false: readable lines")
    lease_s: int = Field(
        30,
        ge=2,
        description="Lease duration in seconds; a job whose lease is not renewed is requeued",
    )
    retention_s: int = Field(
        7 * 86400, ge=1, description="Seconds that a finished explanation is kept"
    )
    tombstone_s: int = Field(
        30 * 86400, ge=1, description="Seconds that an expired or deleted explanation answers 410"
    )
    audit: Literal["reads", "changes", "off"] = Field(
        "reads",
        description="What the audit log has, the same for API and workers: changes; reads, too; or "
        "off: nothing",
    )
    deadline_s: int = Field(
        3600,
        ge=1,
        description="Longest run of an explanation, in seconds; n explanations that run together "
        "have n times as long",
    )
    max_pixels: int = Field(
        50_000_000, ge=1, description="Largest picture and label map: width x height"
    )
    max_values: int = Field(
        40_000_000,
        ge=1000,
        description="Most numbers that an explanation may hold in memory (attributions, standard "
        "errors and scores); a larger one gets 422",
    )

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: str) -> str:
        from redis.connection import parse_url  # slow: imports OpenTelemetry if installed

        parse_url(url)  # type: ignore[no-untyped-call]  # raises ValueError
        return url


class S3Settings(BaseSettings):
    """The S3 variables that this service passes to the client; the client reads the others itself.

    The others are AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and further credentials.
    """

    model_config = SettingsConfigDict(
        env_prefix="AWS_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    endpoint_url: str | None = Field(None, description="URL of the S3 server; unset: Amazon's")
    allow_http: bool = Field(False, description="True: the endpoint may be http://")
