"""The keys in memory, reloaded when the keys file changes."""

from pathlib import Path

import structlog

from service.api.auth.keys import Key, find_key
from service.api.auth.keys_file import KeysError, read_keys
from service.api.auth.principal import Principal

Signature = tuple[int, ...]  # changes when the file does
log = structlog.get_logger(__name__)


class KeyStore:
    """Checks the file at every lookup, which costs microseconds, and reloads it if it changed.

    If the file becomes invalid or is deleted, the keys read before stay valid.
    """

    def __init__(self, path: Path) -> None:
        """Raises KeysError, also if the file has no key."""
        self._path = path
        self._seen = _signature(path)
        self._keys: tuple[Key, ...] = read_keys(path)
        if not self._keys:
            raise KeysError(f"the keys file {path} has no key; add one: `shapshot keys add NAME`")

    def names(self) -> list[str]:
        """Return name, id and scopes of each key, as the audit log tells them."""
        self._reload()
        return [f"{key.name} ({key.id}: {' '.join(key.scopes)})" for key in self._keys]

    def caller_of(self, token: str) -> Principal | None:
        self._reload()
        key = find_key(self._keys, token)
        return Principal(key.name, key.may, key.retention_s) if key else None

    def _reload(self) -> None:
        seen = _signature(self._path)
        if seen != self._seen:
            self._seen = seen
            try:
                self._keys = read_keys(self._path)
            except KeysError as error:
                log.error("keys file rejected, earlier keys stay valid", reason=str(error))
            else:
                log.info("keys file reloaded", keys=len(self._keys))


def _signature(path: Path) -> Signature | None:
    """None if the file does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
