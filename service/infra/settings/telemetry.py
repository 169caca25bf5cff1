"""Settings of telemetry: OpenTelemetry's variables that this service reads."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TraceSettings(BaseSettings):
    """The variables that decide whether spans are exported; the SDK reads the rest."""

    model_config = SettingsConfigDict(
        env_prefix="OTEL_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    exporter_otlp_endpoint: str | None = Field(
        None, description="Base URL that spans are exported to; unset: no spans are recorded"
    )
    exporter_otlp_traces_endpoint: str | None = Field(
        None, description="Full URL that spans are exported to, path included"
    )
    traces_exporter: str = Field("otlp", description="otlp or none")
    sdk_disabled: bool = Field(False, description="True: no spans are recorded")

    @property
    def wanted(self) -> bool:
        endpoint = self.exporter_otlp_traces_endpoint or self.exporter_otlp_endpoint
        return bool(endpoint) and not self.sdk_disabled and self.traces_exporter != "none"
