"""The transitions of webhooks and their deliveries; see scripts.py.

A delivery is queued by the script that makes its event happen (`lua/events.lua`), taken by a
deliverer for a time, and settled with the token by which it was taken.
"""

from dataclasses import dataclass
from typing import Literal

from service.jobs.claims import IdempotencyClaim
from service.jobs.scripts import Call

# Why an attempt failed, in few words that metrics count
DeliveryFailure = Literal[
    "client_error",  # 4xx
    "redirect",
    "refused_url",  # by the rules of outbound requests
    "server_error",  # 5xx
    "timeout",
    "tls",
    "unreachable",  # it does not resolve or listen, or breaks off
    "unreadable",  # what the delivery tells of
]


@dataclass(frozen=True)
class Hook(Call):
    id: str
    version: str | None  # that was read; None: a new webhook
    owner: str | None
    everyone: bool  # wants the events of all owners
    most: int  # webhooks of the owner
    config: str
    events: str  # words between spaces
    enabled: bool  # forgets that it failed
    disabled_for: str | None  # the reason; None: it is enabled
    claim: IdempotencyClaim | None


@dataclass(frozen=True)
class Unhook(Call):
    id: str


@dataclass(frozen=True)
class Take(Call):
    limit: int
    of_each: int  # webhook, at the same time
    lease_s: float
    token: str


@dataclass(frozen=True)
class Settle(Call):
    id: str
    webhook: str
    token: str
    status: str
    failure: DeliveryFailure | None  # None: delivered
    body: str
    attempts: str
    tries: int
    retry_s: float | None
    kept: int  # ended deliveries of its kind
    patience_s: float  # until a webhook that only fails is disabled
    out_of_patience: str  # the reason then
    disabled_for: str | None  # the reason to disable it at once


@dataclass(frozen=True)
class Replay(Call):
    id: str
    webhook: str
    test: str | None  # the type of a new delivery that tells of nothing
    claim: IdempotencyClaim | None
