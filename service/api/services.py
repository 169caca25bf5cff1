"""The services that endpoints use: those of the process, and those of a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Self

import redis
import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from redis.asyncio import Redis as AsyncRedis

from service.api.auth.dependencies import Guard
from service.api.auth.failed_attempts import FailedAttempts
from service.api.auth.key_store import KeyStore
from service.api.auth.links import LinkSigner
from service.api.auth.principal import OPERATOR, Principal
from service.api.auth.rate_limit import RateLimit
from service.api.evidence.audit_trail import AuditTrail
from service.api.evidence.sealer import RecordSealer
from service.api.evidence.stamper import RecordStamper
from service.api.http.heavy_calls import HeavyCalls
from service.api.http.memory_budget import MemoryBudget
from service.api.http.metrics import Metrics
from service.api.http.redis_metrics import RedisMetrics
from service.api.http.store_mismatch import StoreMatchMetrics
from service.api.outbound.destinations import OutboundPolicy
from service.api.outbound.sender import OutboundSender
from service.api.state.change_feed import ChangeFeed
from service.api.state.repository import ExplanationRepository
from service.api.webhooks.deliverer import Deliverer
from service.evidence.keys import PublicKeys, SigningKey
from service.infra.artifact_store import MAX_CONCURRENT_CALLS, Store, StoreError, open_store
from service.infra.deadlines import StoreDeadlines
from service.infra.settings.api import ApiSettings
from service.infra.tracing import Tracer
from service.jobs.maintenance import Maintenance
from service.jobs.redis_clock import log_offset, measure_offset
from service.jobs.redis_connections import connect, connect_async
from service.jobs.store_identity import StoreIdentity
from service.jobs.submissions import Submissions
from service.jobs.webhooks import Webhooks

log = structlog.get_logger(__name__)

UPLOADS_BUSY = "too many uploads are in progress; try again soon"
RESPONSES_BUSY = "too many large responses are being sent; try again soon"
CLOCK_RETRY_S = 5  # between attempts to read the clock of Redis while it is away


@dataclass(frozen=True)
class ProcessServices:
    """The services shared by all requests of a process.

    `redis`, `submissions`, `maintenance` and `store` block: use them in threads.

    Construction opens no connection; each connects at its first use. So a process starts while
    Redis is away, and reports that it is not ready.
    """

    settings: ApiSettings
    redis: redis.Redis
    reading: AsyncRedis
    submissions: Submissions
    maintenance: Maintenance
    store: Store
    identity: StoreIdentity
    change_feed: ChangeFeed
    metrics: Metrics
    tracer: Tracer
    upload_memory: MemoryBudget  # bytes of uploads
    response_memory: MemoryBudget  # bytes of large responses being sent
    storing: CapacityLimiter  # threads that write to the store or delete from it
    heavy_calls: HeavyCalls  # threads for calls that load whole pictures or arrays
    guard: Guard
    sealer: RecordSealer | None  # None without a signing key
    webhooks: Webhooks
    outbound: OutboundSender  # to URLs that clients choose
    audit_trail: AuditTrail
    stamper: RecordStamper | None  # None without a key or an authority
    public_keys: PublicKeys  # that verify records; the one that signs now is the first

    @classmethod
    def of(cls, settings: ApiSettings, tracer: Tracer | None = None) -> Self:
        """Builds the services from settings. Raises KeysError, SigningKeyError, StoreError."""
        key_store = KeyStore(settings.keys_file) if settings.keys_file else None
        connection, reading = connect(settings.redis_url), connect_async(settings.redis_url)
        store = open_store(settings.store_url, StoreDeadlines.of_api(settings))
        identity = StoreIdentity(connection, store)
        key = SigningKey.read(settings.signing_key_file) if settings.signing_key_file else None
        retired_file = settings.retired_keys_file
        retired = PublicKeys.read(retired_file).keys if retired_file else ()
        stamp_url = settings.timestamp_url
        metrics = Metrics()
        metrics.registry.register(RedisMetrics(connection, settings.queue))
        metrics.registry.register(StoreMatchMetrics(identity))
        return cls(
            settings=settings,
            redis=connection,
            reading=reading,
            submissions=Submissions(connection, settings),
            maintenance=Maintenance(connection, settings),
            store=store,
            identity=identity,
            change_feed=ChangeFeed(reading, ExplanationRepository(reading, OPERATOR).find_job),
            metrics=metrics,
            tracer=tracer or Tracer(),
            upload_memory=MemoryBudget(
                settings.uploads_at_once * settings.max_upload_bytes, UPLOADS_BUSY
            ),
            response_memory=MemoryBudget(settings.max_answer_bytes, RESPONSES_BUSY),
            storing=CapacityLimiter(MAX_CONCURRENT_CALLS),
            heavy_calls=HeavyCalls(settings.max_working_bytes),
            guard=Guard(
                key_store,
                RateLimit.of(settings.rate_limit, reading),
                FailedAttempts.of(settings.wrong_keys_limit, reading),
                LinkSigner(reading, settings.link_key),
            ),
            webhooks=Webhooks(reading),
            outbound=OutboundSender(
                OutboundPolicy(
                    settings.outbound_allow, settings.outbound_http, settings.outbound_ports
                )
            ),
            sealer=RecordSealer(connection, store, key, settings.audit, stamp=bool(stamp_url))
            if key
            else None,
            audit_trail=AuditTrail(connection, reading, settings, key_store),
            stamper=RecordStamper(connection, store, str(stamp_url)) if key and stamp_url else None,
            public_keys=PublicKeys(keys=((key.public,) if key else ()) + retired),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the background tasks; closes all connections at the end."""
        tasks = [
            asyncio.create_task(_check_store(self.store)),
            asyncio.create_task(self.change_feed.run()),
            asyncio.create_task(_log_clock_offset(self.redis)),
        ]
        deliverer = Deliverer(self.webhooks, self.outbound, self.settings.root_path)
        tasks.append(asyncio.create_task(deliverer.run()))
        if self.settings.audit != "off":
            tasks.append(asyncio.create_task(self.audit_trail.run()))
        if self.sealer:
            tasks.append(asyncio.create_task(self.sealer.run()))
        if self.stamper:
            tasks.append(asyncio.create_task(self.stamper.run()))
        try:
            yield
        finally:
            self.change_feed.stop()
            for task in tasks:
                while not task.done():  # redis-py may swallow a cancel during a read
                    task.cancel()
                    await asyncio.wait([task], timeout=0.02)
            if self.sealer and self.settings.audit != "off":
                await self.sealer.seal_rest_of_audit()
            await self.outbound.close()
            await self.reading.aclose()
            self.redis.close()
            await to_thread.run_sync(self.tracer.close)


@dataclass(frozen=True)
class RequestServices:
    """The services of one request, for its caller."""

    process: ProcessServices
    caller: Principal
    repository: ExplanationRepository  # limited to what the caller may read
    root_path: str  # prefix of links


async def _check_store(store: Store) -> None:
    """Logs a store error at startup, rather than at the first upload."""
    try:
        await to_thread.run_sync(store.check, abandon_on_cancel=True)
    except StoreError as error:
        log.error("store unavailable", cause=error.cause)


async def _log_clock_offset(connection: redis.Redis) -> None:
    """Logs the offset of this process's clock from that of Redis, once Redis is up."""
    while True:
        try:
            found = await to_thread.run_sync(measure_offset, connection, abandon_on_cancel=True)
        except redis.RedisError:
            await asyncio.sleep(CLOCK_RETRY_S)
        else:
            return log_offset(found)


async def _of_process(request: Request) -> ProcessServices:
    services: ProcessServices = request.app.state.services
    return services


ProcessServicesDep = Annotated[ProcessServices, Depends(_of_process)]


async def _of_request(request: Request) -> RequestServices:
    process, caller = await _of_process(request), request.state.caller
    return RequestServices(
        process, caller, ExplanationRepository(process.reading, caller), request.scope["root_path"]
    )


RequestServicesDep = Annotated[RequestServices, Depends(_of_request)]  # for guarded routes
