"""Deletes explanations and batches with their uploads and results."""

from functools import partial

from anyio import to_thread
from starlette.responses import Response

from service.api.http.problems import ApiError, retry_after
from service.api.services import ProcessServices
from service.api.state.serializers import hold_of
from service.jobs.submissions import HeldError, StillRunningError
from service.jobs.sweep import sweep
from service.schemas.documents import ErrorCode


async def remove(services: ProcessServices, id_: str, *, what: str) -> Response:
    """Deletes an explanation or a batch. Raises ApiError still_running, held.

    what: the explanation that may be running, for the error.
    """
    try:
        ids = await to_thread.run_sync(services.submissions.delete, id_)
    except StillRunningError as error:
        detail = f"{what} is {error.status}; cancel it and wait until it has ended"
        raise ApiError(ErrorCode.STILL_RUNNING, detail, "id", headers=retry_after()) from error
    except HeldError as error:
        raise held_problem(services, error.id, "deleted") from error
    for each in ids:
        tombstone_s = services.settings.tombstone_s
        clear = partial(sweep, each, services.maintenance, services.store, tombstone_s=tombstone_s)
        await to_thread.run_sync(clear, limiter=services.storing)
    return Response(status_code=204)


def held_problem(services: ProcessServices, id_: str, done: str) -> ApiError:
    """Returns the problem of an explanation that is held. Blocking."""
    state = services.submissions.read(id_)
    hold = hold_of(state) if state else None
    detail = f"{id_} is held and cannot be {done}"
    if hold:
        until = f" until {hold.until:%Y-%m-%d %H:%M:%S} UTC" if hold.until else ""
        detail += f": by {hold.by}, since {hold.since:%Y-%m-%d %H:%M:%S} UTC{until}: {hold.reason}"
    return ApiError(ErrorCode.HELD, detail, "id", id_)
