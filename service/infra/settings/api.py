"""Settings of the API."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import NoDecode

from service.infra.root_path import checked_root_path
from service.infra.settings.shared import SharedSettings

Origin = Annotated[str, Field(pattern=r"^https?://[^\s/*,]+$")]
Limit = Annotated[str, Field(pattern=r"^([1-9]\d{0,8}/(second|minute|hour|day)|off)$")]
HostName = Annotated[
    str, Field(pattern=r"^((\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])$")
]
Network = IPv4Network | IPv6Network
Port = Annotated[int, Field(ge=1, le=65535)]


class ApiSettings(SharedSettings):
    """The settings of an API process; lists are separated by commas."""

    host: str = Field("127.0.0.1", description="Address the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on; 0: a free one")
    keys_file: Path | None = Field(
        None,
        description="File of API keys (see `shapshot keys`); unset: no key is needed, and only a "
        "loopback address is accepted as host",
    )
    rate_limit: Limit = Field(
        "600/minute",
        description="Requests of one key, such as 20/second, or off; more get 429",
    )
    wrong_keys_limit: Limit = Field(
        "10/minute",
        description="Wrong keys from one address, or off; more get 429, valid keys still pass",
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (), description="Origins of web pages that may call the API (CORS)"
    )
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode] = Field(
        (),
        description="Host names that requests may use, such as *.example.org. Without a keys_file "
        "they add to localhost; with one they replace the default, which allows any",
    )
    root_path: Annotated[str, AfterValidator(checked_root_path)] = Field(
        "",
        description="Path under which a proxy serves the API, such as /shapshot; unset: the "
        "X-Forwarded-Prefix of a trusted proxy",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (ip_network("127.0.0.1"), ip_network("::1")),
        description="Addresses and networks of proxies whose X-Forwarded-For, -Proto and -Prefix "
        "are trusted; `none` trusts no proxy",
    )
    max_upload_bytes: int = Field(20 * 2**20, ge=1, description="Largest request body in bytes")
    uploads_at_once: int = Field(
        16,
        ge=1,
        description="Memory for request bodies, in bodies of max_upload_bytes; when it is used up, "
        "uploads get 503",
    )
    head_timeout_s: float = Field(
        10,
        gt=0,
        description="Seconds a client may take to send a request's head, or the rest of a body "
        "after the response",
    )
    body_patience_s: float = Field(
        20,
        gt=0,
        description="Seconds a client may fall behind min_upload_rate in sending a body; then 408",
    )
    min_upload_rate: int = Field(
        16_384, ge=1, description="Slowest accepted upload, in bytes per second"
    )
    answer_patience_s: float = Field(
        20,
        gt=0,
        description="Seconds a client may fall behind min_answer_rate in reading a response; then "
        "the connection is closed",
    )
    min_answer_rate: int = Field(
        16_384, ge=1, description="Slowest accepted reading of a response, in bytes per second"
    )
    max_answer_bytes: int = Field(
        128 * 2**20,
        ge=1,
        description="Memory in bytes for large responses being sent; when it is used up, requests "
        "for them get 503",
    )
    max_working_bytes: int = Field(
        768 * 2**20,
        ge=1,
        description="Memory in bytes for decoding uploads and drawing; when it is used up, "
        "requests wait, then get 503",
    )
    max_evals: int = Field(
        100_000, ge=2, description="Largest max_evals, in model evaluations, of a request"
    )
    max_queued: int = Field(
        1000, ge=1, description="Most explanations that may be queued; more get 503"
    )
    max_queued_bytes: int = Field(
        2 * 2**30, ge=1, description="Most uploaded bytes of queued explanations; more get 503"
    )
    max_queued_per_key: int = Field(
        200, ge=1, description="Most explanations of one key that may be queued; more get 429"
    )
    max_queued_bytes_per_key: int = Field(
        512 * 2**20,
        ge=1,
        description="Most uploaded bytes of queued explanations of one key; more get 429",
    )
    interactive_share: int = Field(
        4,
        ge=1,
        le=1000,
        description="Explanations of priority `interactive` started for each of priority `batch`, "
        "while both are queued",
    )
    link_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Key that signs links, the same for all API processes; another one ends all "
        "links; unset: made once, and kept in Redis",
    )
    max_link_s: int = Field(
        7 * 86400, ge=1, description="Longest lifetime of a signed link, in seconds"
    )
    signing_key_file: Path | None = Field(
        None,
        description="File of the private key (Ed25519, PEM) that signs records of explanations "
        "(see `shapshot signing-key`); unset: there are no records",
    )
    retired_keys_file: Path | None = Field(
        None,
        description="File of the public keys that signed before, as `shapshot signing-key rotate` "
        "writes it",
    )
    explain_wait_s: float = Field(
        60,
        ge=0,
        le=600,
        description="Seconds that a request in the form of KServe or Vertex waits for its result, "
        "unless it has `Prefer: wait=N`",
    )
    outbound_allow: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="Networks that are not public, such as 10.0.0.0/8, and to which webhooks and "
        "pictures by URL may lead, by http or https at any port",
    )
    outbound_http: bool = Field(
        False, description="True: webhooks and pictures by URL may be http:// at public addresses"
    )
    outbound_ports: Annotated[tuple[Port, ...], NoDecode] = Field(
        (), description="Ports of webhooks and of pictures by URL, beside 80 and 443"
    )
    webhooks_per_key: int = Field(
        10, ge=0, description="Most webhooks of one key; 0: none may be added"
    )
    picture_urls: bool = Field(
        False,
        description="True: a request may name a picture by `image_url`, which the API fetches",
    )
    audit_days: int = Field(
        400, ge=1, description="Days that the entries of the audit log are kept"
    )
    audit_addresses: bool = Field(
        False, description="True: the audit log has the address of each client"
    )
    timestamp_url: HttpUrl | None = Field(
        None,
        description="URL of an authority of RFC 3161, which stamps the signatures of records; "
        "unset: they have no timestamps",
    )
    idempotency_s: int = Field(
        86400, ge=1, description="Seconds that an Idempotency-Key is remembered"
    )

    @field_validator("cors_origins", "allowed_hosts", "outbound_ports", mode="before")
    @classmethod
    def _split(cls, text: str | tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(str.strip, text.split(","))) if isinstance(text, str) else text

    @field_validator("trusted_proxies", "outbound_allow", mode="before")
    @classmethod
    def _networks(cls, text: str | tuple[Network, ...]) -> tuple[Network, ...]:
        if not isinstance(text, str):
            return text
        parts = [] if text == "none" else text.split(",")
        return tuple(ip_network(part.strip()) for part in parts)
