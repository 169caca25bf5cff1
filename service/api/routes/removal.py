"""Deletes explanations and batches with their uploads and results."""

from functools import partial

from anyio import to_thread
from starlette.responses import Response

from service.api.http.problems import ApiError, retry_after
from service.api.services import ProcessServices
from service.jobs.submissions import StillRunningError
from service.jobs.sweep import sweep
from service.schemas.documents import ErrorCode


async def remove(services: ProcessServices, id_: str, *, what: str) -> Response:
    """Deletes an explanation or a batch. Raises ApiError still_running.

    what: the explanation that may be running, for the error.
    """
    try:
        ids = await to_thread.run_sync(services.submissions.delete, id_)
    except StillRunningError as error:
        detail = f"{what} is {error.status}; cancel it and wait until it has ended"
        raise ApiError(ErrorCode.STILL_RUNNING, detail, "id", headers=retry_after()) from error
    for each in ids:
        tombstone_s = services.settings.tombstone_s
        clear = partial(sweep, each, services.maintenance, services.store, tombstone_s=tombstone_s)
        await to_thread.run_sync(clear, limiter=services.storing)
    return Response(status_code=204)
