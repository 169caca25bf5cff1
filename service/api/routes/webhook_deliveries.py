"""Deliveries of webhooks: testing, listing and replaying."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from service.api.http.openapi_responses import IDEMPOTENCY_KEY, problems
from service.api.http.problems import ApiError
from service.api.routes.webhooks import find_to_change, find_webhook
from service.api.services import RequestServicesDep
from service.api.submission.idempotency import idempotent_request, make_once
from service.api.webhooks import documents
from service.jobs.claims import IdempotencyClaim, IdempotentRequest
from service.jobs.redis_keys import DELIVERY_ID, new_delivery_id
from service.jobs.webhooks import DisabledError
from service.schemas.documents import ErrorCode
from service.schemas.webhooks import Delivery, DeliveryList, DeliveryStatus

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
_QUEUES = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.CROSS_SITE,
    ErrorCode.NOT_FOUND,
    ErrorCode.GONE,
    ErrorCode.WEBHOOK_DISABLED,
    ErrorCode.IDEMPOTENCY_MISMATCH,
)


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    responses=problems(*_QUEUES),
)
async def test_webhook(request: Request, services: RequestServicesDep, webhook_id: str) -> Delivery:
    """Queue a delivery of the type `webhook.test`."""
    await find_to_change(services, webhook_id)

    queue = partial(_queue, services.process.webhooks.test, webhook_id, new_delivery_id())
    asked = idempotent_request(request, services, "test", webhook_id)
    find = partial(services.process.webhooks.delivery, webhook_id)
    return documents.delivery(await make_once(services, asked, queue, find))


class DeliveriesQuery(BaseModel):
    """The query of a list of deliveries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: DeliveryStatus | None = Field(None, description="Only those of this status")
    limit: int = Field(20, ge=1, le=100, description="Most deliveries")


@router.get(
    "/{webhook_id}/deliveries",
    responses=problems(ErrorCode.NOT_FOUND, ErrorCode.INVALID_PARAMETER),
)
async def list_deliveries(
    services: RequestServicesDep, webhook_id: str, query: Annotated[DeliveriesQuery, Query()]
) -> DeliveryList:
    """List deliveries, newest first: of those that are pending, the ones due next."""
    await find_webhook(services, webhook_id)
    found = await services.process.webhooks.deliveries(webhook_id, query.status, query.limit)
    return DeliveryList(items=[documents.delivery(each) for each in found])


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    responses=problems(*_QUEUES),
)
async def replay_delivery(
    request: Request, services: RequestServicesDep, webhook_id: str, delivery_id: str
) -> Delivery:
    """Deliver again, under the same webhook-id; a pending one is due at once."""
    await find_to_change(services, webhook_id)
    find = partial(services.process.webhooks.delivery, webhook_id)
    if not (DELIVERY_ID.fullmatch(delivery_id) and await find(delivery_id)):
        detail = f"there is no such delivery of this webhook: {delivery_id[:100]}"
        raise ApiError(ErrorCode.NOT_FOUND, detail, "id", delivery_id)

    queue = partial(_queue, services.process.webhooks.replay, webhook_id, delivery_id)
    asked = idempotent_request(request, services, "replay", webhook_id, delivery_id)
    return documents.delivery(await make_once(services, asked, queue, find))


async def _queue(
    send: Callable[[str, str, IdempotencyClaim | None], Awaitable[object]],
    webhook_id: str,
    delivery_id: str,
    asked: IdempotentRequest | None,
) -> str:
    """Queues a delivery together with its claim; returns its id. Raises ApiError if disabled."""
    try:
        await send(webhook_id, delivery_id, asked.claim(delivery_id) if asked else None)
    except DisabledError as error:
        detail = "the webhook is disabled; enable it first: PATCH it with enabled true"
        raise ApiError(ErrorCode.WEBHOOK_DISABLED, detail, "id") from error
    return delivery_id
