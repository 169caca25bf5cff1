"""Who acts: what the entries of the audit log say of the request that is being served."""

from contextvars import ContextVar
from dataclasses import dataclass

from service.infra.logging import request_id


@dataclass(frozen=True)
class Audited:
    """Who does something: for the scripts that append to the audit log."""

    actor: str | None  # name of the key; None: no keys, a link, or the service itself
    request: str | None
    address: str | None  # of the client, if the settings say so


_actor: ContextVar[str | None] = ContextVar("actor", default=None)
_address: ContextVar[str | None] = ContextVar("address", default=None)


def set_actor(name: str | None) -> None:
    """Say whose key the current request has."""
    _actor.set(name)


def set_address(address: str | None) -> None:
    """Say from where the current request comes; None: that is not to be kept."""
    _address.set(address)


def audited(setting: str) -> Audited | None:
    """Return who acts now; None if the log is off. setting: reads, changes or off."""
    if setting == "off":
        return None
    return Audited(_actor.get(), request_id(), _address.get())
