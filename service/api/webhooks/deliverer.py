"""Delivers events to webhooks: at least once, with the same webhook-id each time.

Any API process may deliver: it takes deliveries that are due for LEASE_S, and records each attempt.
If it dies before that, another takes the delivery when the lease ends.
"""

import asyncio
import math
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx
import redis
import structlog

from service.api.outbound.destinations import OutboundError
from service.api.outbound.sender import OutboundSender
from service.api.state.serializers import to_datetime
from service.api.version import version
from service.api.webhooks.documents import body
from service.api.webhooks.secrets import sign
from service.jobs.webhook_scripts import DeliveryFailure, Settle
from service.jobs.webhooks import Taken, Webhooks
from service.schemas.webhooks import Attempt

TIMEOUT_S = 15.0  # of an attempt, in total
LEASE_S = 60.0
AT_ONCE, OF_EACH = 64, 8  # attempts of a process, and of all processes to one webhook
# Seconds between attempts, 76 hours in all; each is varied by JITTER
DELAYS_S = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
JITTER = 0.1
MAX_RETRY_AFTER_S = 86400
PATIENCE_S = 5 * 86400  # until a webhook that only fails is disabled
KEPT, KEPT_ATTEMPTS = 200, 10  # ended deliveries of each kind, and attempts of one
MAX_BODY = 65536  # bytes of an answer that are read
PAUSE_S, OUTAGE_S = 1.0, 5.0  # between looks, and while Redis is away

GONE = "the receiver answered 410 Gone"
OUT_OF_PATIENCE = f"no delivery succeeded for {PATIENCE_S // 86400} days"

log = structlog.get_logger(__name__)
_random = random.SystemRandom()


@dataclass(frozen=True)
class Answer:
    """What a receiver answered, or why it did not; error, failure: None if it accepted."""

    status_code: int | None
    error: str | None
    failure: DeliveryFailure | None
    retry_after: str | None = None


class Deliverer:
    """Delivers what is due."""

    def __init__(
        self,
        webhooks: Webhooks,
        sender: OutboundSender,
        root_path: str,
        *,
        delays_s: Sequence[float] = DELAYS_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._webhooks = webhooks
        self._sender = sender
        self._root_path = root_path
        self._delays_s = delays_s
        self._timeout_s = timeout_s
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                try:
                    pause_s = await self._start_due()
                except redis.RedisError as error:
                    log.warning("webhooks are not delivered for now", cause=str(error))
                    pause_s = OUTAGE_S
                if self._sending:  # the end of one may make room for the next
                    await asyncio.wait(
                        self._sending, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED
                    )
                else:
                    await asyncio.sleep(pause_s)
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def _start_due(self) -> float:
        """Start attempts of what is due; return the seconds until the next look."""
        room = AT_ONCE - len(self._sending)
        if room <= 0:
            return PAUSE_S
        due = await self._webhooks.take(
            room, of_each=OF_EACH, lease_s=LEASE_S, token=uuid.uuid4().hex
        )
        now_at = time.monotonic()
        for taken in due.taken:
            task = asyncio.create_task(self._deliver(taken, due.now, now_at))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return PAUSE_S if due.next_s is None else min(due.next_s, PAUSE_S)

    async def _deliver(self, taken: Taken, now: float, now_at: float) -> None:
        """Make one attempt and record it.

        now: Redis's time at `now_at`, in seconds of the monotonic clock.
        """
        began = time.monotonic()
        started_at = now + began - now_at
        delivery = taken.delivery
        try:
            content = body(delivery, self._root_path)
        except ValueError as error:  # includes pydantic's ValidationError
            log.warning("invalid delivery skipped", id=delivery.id, reason=type(error).__name__)
            content, answer = "", Answer(None, "what it tells of cannot be read", "unreadable")
        else:
            answer = await self._ask(taken, content.encode(), started_at)
        ended_s = time.monotonic() - began
        attempt = Attempt(
            at=to_datetime(started_at),
            status_code=answer.status_code,
            error=answer.error,
            duration_ms=round(ended_s * 1000),
        )
        attempts = [*delivery.attempts, attempt][-KEPT_ATTEMPTS:]
        last = delivery.tries >= len(self._delays_s) or not content
        status = "delivered" if answer.error is None else "failed" if last else "pending"
        retry_s = self._retry_s(delivery.tries, answer, started_at) if status == "pending" else None
        settle = Settle(
            id=delivery.id,
            webhook=delivery.webhook,
            token=taken.token,
            status=status,
            failure=answer.failure,
            body=content,
            attempts=f"[{','.join(each.model_dump_json() for each in attempts)}]",
            tries=delivery.tries + 1,
            retry_s=retry_s,
            kept=KEPT,
            patience_s=PATIENCE_S,
            out_of_patience=OUT_OF_PATIENCE,
            disabled_for=GONE if answer.status_code == 410 else None,
        )
        await self._settle(settle, until=began + LEASE_S)
        write = log.info if status == "delivered" else log.warning
        write(
            "webhook delivered" if status == "delivered" else "webhook not delivered",
            webhook=delivery.webhook,
            delivery=delivery.id,
            status=answer.status_code,
            reason=answer.error,
            retry_s=retry_s and round(retry_s),
        )

    async def _ask(self, taken: Taken, content: bytes, now: float) -> Answer:
        headers = sign(taken.config.secrets, taken.delivery.id, now, content) | {
            "Content-Type": "application/json",
            "User-Agent": f"Shapshot/{version()}",
        }
        answer: Answer | None = None
        try:
            async with self._sender.send(
                "POST",
                taken.config.url,
                headers=headers,
                content=content,
                timeout_s=self._timeout_s,
            ) as response:
                answer = _answer(response)
                await _read_some(response)
        except OutboundError as error:
            if answer is None:  # what follows an answer does not change it
                return Answer(None, str(error), error.failure)
        return answer or Answer(None, "it did not answer", "unreachable")

    async def _settle(self, settle: Settle, *, until: float) -> None:
        """Record an attempt; wait for Redis until the lease has ended anyway."""
        while True:
            try:
                await self._webhooks.settle(settle)
                return
            except redis.RedisError as error:
                if time.monotonic() > until:
                    log.warning("attempt of a webhook not recorded", cause=str(error))
                    return
            await asyncio.sleep(PAUSE_S)

    def _retry_s(self, tries: int, answer: Answer, now: float) -> float:
        """Return the seconds until the next attempt; Retry-After can only make them more."""
        delay_s = self._delays_s[tries] * _random.uniform(1 - JITTER, 1 + JITTER)
        asked_s = min(_seconds(answer.retry_after, now), MAX_RETRY_AFTER_S)
        return max(delay_s, asked_s)


def _answer(response: httpx.Response) -> Answer:
    code = response.status_code
    if 200 <= code < 300:
        return Answer(code, None, None)
    error = f"it answered {code}"
    failure: DeliveryFailure = "client_error" if 400 <= code < 500 else "server_error"
    if 300 <= code < 400:
        error, failure = f"it answered {code}, and redirects are not followed", "redirect"
    return Answer(code, error, failure, response.headers.get("retry-after"))


async def _read_some(response: httpx.Response) -> None:
    """Read a short answer to its end, which is polite, and no long one."""
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        if received > MAX_BODY:
            return


def _seconds(retry_after: str | None, now: float) -> float:
    """Parse Retry-After, in seconds or as a date; 0 if it is neither."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    try:
        at = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
    return max(at - now, 0.0) if math.isfinite(at) else 0.0
