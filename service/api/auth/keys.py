"""API keys and their scopes.

A key is 256 random bits and cannot be guessed, so a plain SHA-256 is enough to store it. Slow,
salted hashes are for passwords, which people choose.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PREFIX = "shapshot_"  # recognised by people and by scanners for leaked secrets
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # part of Redis key names and of log lines


class Scope(StrEnum):
    """What a key permits."""

    READ = "read"  # read its own name's explanations
    EXPLAIN = "explain"  # read, submit, cancel and delete
    AUDITOR = "auditor"  # read, hold and review everybody's explanations, and change nothing else
    ADMIN = "admin"  # everything


CONTAINED: Mapping[Scope, frozenset[Scope]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.EXPLAIN: frozenset({Scope.READ, Scope.EXPLAIN}),
    Scope.AUDITOR: frozenset({Scope.READ, Scope.AUDITOR}),
    Scope.ADMIN: frozenset(Scope),
}


class Key(BaseModel):
    """A line of the keys file. Keys may share a name, so that one can replace another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    created_at: datetime
    # Seconds that what it asks for is kept, and the most that it may ask for; None: the server's
    retention_s: Annotated[int, Field(ge=1)] | None = None

    @property
    def id(self) -> str:
        """Distinguishes keys of the same name."""
        return self.sha256[:8]

    @property
    def may(self) -> frozenset[Scope]:
        return frozenset().union(*(CONTAINED[scope] for scope in self.scopes))


def new_key(name: str, scopes: Sequence[Scope], retention_s: int | None = None) -> tuple[str, Key]:
    """Returns a new token, which is not stored, and its line in the file."""
    token = PREFIX + secrets.token_urlsafe(32)
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - for people to read
    key = Key(
        name=name,
        sha256=_hashed(token),
        scopes=tuple(scopes),
        created_at=now,
        retention_s=retention_s,
    )
    return token, key


def find_key(keys: Sequence[Key], token: str) -> Key | None:
    """Returns the key of this token. Compares hashes in constant time."""
    hashed = _hashed(token)
    found = [key for key in keys if hmac.compare_digest(key.sha256, hashed)]
    return found[0] if found else None


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
