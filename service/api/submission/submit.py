"""An upload -> one queued explanation, a queued batch, or an error."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog
from anyio import to_thread

from service.api.http.conditional import CachePolicy
from service.api.http.problems import ApiError, retry_after
from service.api.http.store_mismatch import mismatch_problem
from service.api.services import ProcessServices, RequestServices
from service.api.submission.label_maps import check_size, inspect_label_map
from service.api.submission.resolve_settings import (
    check_regions,
    check_served,
    requested_name,
    resolve_settings,
)
from service.api.submission.result_cache import request_key, reuse_result
from service.api.uploads.upload import Upload
from service.images.decoding import (
    BrokenPictureError,
    NotAPictureError,
    TooManyPixelsError,
    UnsuitablePictureError,
    accepted_formats,
    inspect_picture,
)
from service.infra.artifact_store import StoreError, image_key, label_map_key
from service.infra.logging import request_id
from service.jobs.admission_limits import OwnerShareFullError, QueueLimitError
from service.jobs.records import JobSpec, State
from service.jobs.redis_keys import new_id
from service.jobs.submissions import AlreadyClaimedError
from service.jobs.worker_registry import read_live_workers
from service.schemas.documents import ErrorCode, ImageInfo, LabelMapInfo
from service.schemas.fingerprint import ModelRef, model_ref
from service.schemas.models import ModelCard
from service.schemas.requests import Priority, ResolvedSettings

DEFAULT_RETRY_S = 10  # seconds of Retry-After while the pace of jobs is unknown
MAX_RETRY_S = 600

log = structlog.get_logger(__name__)


class Submit(Protocol):
    """Submits an upload under an id."""

    async def __call__(self, services: RequestServices, upload: Upload, id_: str, /) -> None: ...


async def submit(services: RequestServices, upload: Upload, explanation_id: str) -> None:
    """Checks the upload against models and limits, stores its files, enqueues the job.

    Raises ApiError, AlreadyClaimedError.
    """
    [wanted] = await _prepare(services, upload, priority="interactive")
    accept = partial(services.process.submissions.accept, explanation_id, wanted.spec)
    enqueue = partial(_enqueue, services.process, upload, {explanation_id: wanted}, accept)
    await to_thread.run_sync(enqueue, limiter=services.process.storing)


async def submit_batch(services: RequestServices, upload: Upload, batch_id: str) -> None:
    """Submits all pictures of a batch, or none. Raises as `submit`."""
    _check_size(services, len(upload.images))
    members = {new_id(): each for each in await _prepare(services, upload, priority="batch")}
    specs = {id_: each.spec.model_copy(update={"batch": batch_id}) for id_, each in members.items()}
    accept = partial(services.process.submissions.accept_batch, batch_id, specs)
    enqueue = partial(_enqueue, services.process, upload, members, accept)
    await to_thread.run_sync(enqueue, limiter=services.process.storing)


def _check_size(services: RequestServices, count: int) -> None:
    """Refuses a batch above the queue limits, where a retry cannot help. Raises ApiError."""
    limits = services.process.settings
    most = min(limits.max_queued, limits.max_queued_per_key if services.caller.name else count)
    if count > most:
        detail = f"only {most} may wait at once here: a batch may have as many pictures"
        raise ApiError(ErrorCode.TOO_LARGE, detail, "images", count, {"maximum": most})


@dataclass(frozen=True)
class SubmissionPlan:
    """The settings for every picture, and the models as last seen."""

    settings: ResolvedSettings
    card: ModelCard  # as last available; finds earlier results
    model: ModelRef  # identity of the model with these settings
    asked: str | None  # the model named in the request
    cards: Sequence[ModelCard]  # empty if no worker is alive

    def check_served(self) -> None:
        """Raises ApiError if no worker serves or is loading the model."""
        check_served(self.asked, self.card, self.cards)


@dataclass(frozen=True)
class Submission:
    """The job for one picture, and an earlier identical explanation, if any."""

    plan: SubmissionPlan
    spec: JobSpec
    earlier: State | None


async def _prepare(
    services: RequestServices, upload: Upload, *, priority: Priority
) -> list[Submission]:
    """Checks every picture, in a thread; priority: default if the settings have none."""
    wanted = partial(_prepare_submissions, services, upload, priority)
    return await services.process.heavy_calls.run(wanted)


def _prepare_submissions(
    services: RequestServices, upload: Upload, priority: Priority
) -> list[Submission]:
    process = services.process
    if not process.identity.last.store_fits:
        _check_store(process)
    label_map = inspect_label_map(upload, process.settings.max_pixels, process.heavy_calls.reserve)
    plan = _plan(process, upload, label_map, priority)
    return [
        _prepare_one(services, upload, plan, label_map, *image) for image in upload.images.items()
    ]


def _check_store(services: ProcessServices) -> None:
    """Refuses to write to a store that does not belong to this Redis. Raises ApiError."""
    match = services.identity.recent()
    if not match.store_fits:
        raise mismatch_problem(match)


def _plan(
    services: ProcessServices, upload: Upload, label_map: LabelMapInfo | None, priority: Priority
) -> SubmissionPlan:
    present = read_live_workers(services.redis)
    limits = services.settings
    settings = upload.settings.model_copy(update={"priority": upload.settings.priority or priority})
    resolved, card = resolve_settings(
        settings,
        present.usable,
        max_evals=limits.max_evals,
        max_values=limits.max_values,
        label_map=label_map,
    )
    served = present.cards if present.workers else []
    model = model_ref(card.name, card.parts, resolved.fit)
    return SubmissionPlan(resolved, card, model, requested_name(upload.settings.model), served)


def _prepare_one(
    services: RequestServices,
    upload: Upload,
    plan: SubmissionPlan,
    label_map: LabelMapInfo | None,
    name: str,
    content: bytes,
) -> Submission:
    """Checks one picture; an earlier result needs neither decoding nor a worker."""
    settings, card, model = plan.settings, plan.card, plan.model
    sha256 = hashlib.sha256(content).hexdigest()
    owner = services.caller.name
    key = request_key(sha256, label_map, settings, model.fingerprint, card, owner)
    earlier = (
        services.process.submissions.earlier(key, owner)
        if upload.caching is CachePolicy.USE
        else None
    )
    image = earlier.spec.image if earlier and earlier.spec else None
    if not earlier:
        plan.check_served()
    spec = JobSpec(
        settings=settings,
        model=model,
        image=image or _inspect(services.process, name, content, sha256),
        label_map=label_map,
        owner=owner,
        request_id=request_id(),
        traceparent=services.process.tracer.traceparent(),
        cache=key if model.fingerprint and upload.caching is not CachePolicy.AVOID else None,
    )
    if card.input_shape:
        if label_map:
            check_size(label_map, spec.image, card.input_shape)
        photo = spec.image.height, spec.image.width
        check_regions(settings.superpixels, photo, card.input_shape, settings.fit, name)
    return Submission(plan, spec, earlier)


def _inspect(services: ProcessServices, name: str, content: bytes, sha256: str) -> ImageInfo:
    max_pixels, holding = services.settings.max_pixels, services.heavy_calls.reserve
    try:
        found = inspect_picture(content, max_pixels=max_pixels, holding=holding)
    except TooManyPixelsError as error:
        accepted = {"maximum": max_pixels}
        raise ApiError(ErrorCode.TOO_LARGE, str(error), name, None, accepted) from error
    except (BrokenPictureError, UnsuitablePictureError) as error:
        raise ApiError(ErrorCode.INVALID_IMAGE, str(error), name) from error
    except NotAPictureError as error:
        code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
        raise ApiError(code, str(error), name, None, accepted_formats()) from error
    return ImageInfo(
        sha256=sha256,
        bytes=len(content),
        format=found.format,
        width=found.width,
        height=found.height,
    )


def _enqueue(
    services: ProcessServices,
    upload: Upload,
    wanted: Mapping[str, Submission],
    accept: Callable[..., None],
) -> None:
    """Reserves the ids first: if a later step fails, housekeeping deletes the files."""
    _check_store(services)
    services.submissions.reserve(*wanted)
    earlier = {}
    for (id_, each), image in zip(wanted.items(), upload.images.values(), strict=True):
        if each.earlier and reuse_result(services, each.earlier, id_):
            earlier[id_] = each.earlier
            continue
        each.plan.check_served()  # the earlier result has vanished
        services.store.put(image_key(id_), image)
        if upload.label_map is not None:
            services.store.put(label_map_key(id_), upload.label_map)
    try:
        accept(timeout_s=services.settings.deadline_s, earlier=earlier, claim=upload.claim)
    except QueueLimitError as full:
        _discard(services, wanted)
        raise _limit_problem(full) from full
    except AlreadyClaimedError:
        _discard(services, wanted)
        raise


def _limit_problem(full: QueueLimitError) -> ApiError:
    code = ErrorCode.SHARE_FULL if isinstance(full, OwnerShareFullError) else ErrorCode.QUEUE_FULL
    seconds = min(full.retry_s or DEFAULT_RETRY_S, MAX_RETRY_S)
    return ApiError(code, str(full), headers=retry_after(seconds))


def _discard(services: ProcessServices, ids: Iterable[str]) -> None:
    for explanation_id in ids:
        try:
            services.store.delete_explanation(explanation_id)
        except StoreError as error:
            log.warning("left for the sweep", id=explanation_id, cause=error.cause)
