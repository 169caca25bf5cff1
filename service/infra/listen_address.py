"""Nobody listens to the world by accident: without keys the API serves its own machine only."""

from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path


class InsecureBindError(Exception):
    """The API would listen to others, and there are no keys; the message says how to go on."""


def check_listen_address(host: str, keys_file: Path | None) -> None:
    """Without keys only this machine may be listened to. Raises InsecureBindError."""
    if keys_file is None and not is_loopback(host):
        raise InsecureBindError(
            f"listening on {host} lets others in, and there are no keys. Make one: "
            "`shapshot keys add NAME --file keys.jsonl`, then start with "
            "SHAPSHOT_KEYS_FILE=keys.jsonl; or listen on 127.0.0.1 only"
        )


@lru_cache(maxsize=64)  # asked at every request
def is_loopback(host: str) -> bool:
    """Whether this name or address (IPv6 without brackets) always means this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
