"""Deleting what was asked for, with all that was sent and found."""

from functools import partial

from anyio import to_thread
from starlette.responses import Response

from service.api.protocol.errors import ApiError, retry_after
from service.api.services import Services
from service.contract.schema import ErrorCode, Status
from service.contract.sweep import sweep


async def remove(services: Services, ids: list[str], *, what: str) -> Response:
    """Delete all of them or none; `what`: what may still be running. Raises ApiError."""
    answer = await to_thread.run_sync(services.ledger.delete, *ids)
    if answer in (Status.RUNNING, Status.CANCELING):
        detail = f"{what} is {answer}; cancel it and wait until it has ended"
        raise ApiError(ErrorCode.STILL_RUNNING, detail, "id", headers=retry_after())
    clear = partial(sweep, tombstone_s=services.settings.tombstone_s)
    for id_ in ids:
        await to_thread.run_sync(clear, id_, services.ledger, services.store)
    return Response(status_code=204)
