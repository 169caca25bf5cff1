"""Settings of the worker."""

from pathlib import Path

from pydantic import Field

from service.infra.settings.shared import SharedSettings


class WorkerSettings(SharedSettings):
    """The settings of a worker process."""

    models: Path | None = Field(
        None, description="TOML file of models; unset: the bundled ones (see worker/bundled)"
    )
    weights_cache: Path | None = Field(
        None, description="Folder where Keras keeps downloaded weights; unset: Keras's default"
    )
    grace_s: int = Field(
        30,
        ge=1,
        description="Seconds after the deadline of an explanation until a worker process that "
        "cannot be interrupted is killed",
    )
    max_attempts: int = Field(
        3, ge=1, description="Attempts to run a job before it fails, if its worker dies each time"
    )
    threads: int = Field(0, ge=0, description="Masking threads; 0: one per core")
    alive_file: Path | None = Field(
        None,
        description="File touched four times per lease, for a liveness probe; unset: no file",
    )
