"""Keys: who may use the API, and for what.

A key is 256 random bits: there is nothing to guess, so a plain SHA-256 keeps it. Slow and salted
hashes are for passwords, which people choose.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PREFIX = "shapshot_"  # so that people, and scanners for leaked secrets, see what it is
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # it stands in the names of Redis's keys and in logs


class Scope(StrEnum):
    """What a key is good for; the later contain the earlier."""

    READ = "read"
    EXPLAIN = "explain"
    ADMIN = "admin"


CONTAINED: Mapping[Scope, frozenset[Scope]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.EXPLAIN: frozenset({Scope.READ, Scope.EXPLAIN}),
    Scope.ADMIN: frozenset(Scope),
}


class Key(BaseModel):
    """A line of the file. A name may have several, so that one can follow another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    created_at: datetime

    @property
    def id(self) -> str:
        """Tells the keys of a name apart."""
        return self.sha256[:8]

    @property
    def may(self) -> frozenset[Scope]:
        return frozenset().union(*(CONTAINED[scope] for scope in self.scopes))


def new_key(name: str, scopes: Sequence[Scope]) -> tuple[str, Key]:
    """A key, to be handed over and forgotten, and its line."""
    token = PREFIX + secrets.token_urlsafe(32)
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - for people to read
    return token, Key(name=name, sha256=_hashed(token), scopes=tuple(scopes), created_at=now)


def find_key(keys: Sequence[Key], token: str) -> Key | None:
    """The key that this is; how long it takes tells nothing of which, or how nearly."""
    hashed = _hashed(token)
    found = [key for key in keys if hmac.compare_digest(key.sha256, hashed)]
    return found[0] if found else None


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
