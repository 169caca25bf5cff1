"""Prevents exposing the API by accident: with no keys configured, it binds to loopback only."""

from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path


class InsecureBindError(Exception):
    """The address is not loopback, and no keys are configured; the message says what to do."""


def check_listen_address(host: str, keys_file: Path | None) -> None:
    """Require a loopback address if no keys are configured. Raises InsecureBindError."""
    if keys_file is None and not is_loopback(host):
        raise InsecureBindError(
            f"listening on {host} lets other machines in, but no API key is configured. Create "
            "one with `shapshot keys add NAME --file keys.jsonl` and start with "
            "SHAPSHOT_KEYS_FILE=keys.jsonl, or listen on 127.0.0.1"
        )


@lru_cache(maxsize=64)  # called on every request
def is_loopback(host: str) -> bool:
    """Return whether a name or address (IPv6 without brackets) always means this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
