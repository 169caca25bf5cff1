"""Turns an upload into a queued explanation or a queued batch."""

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
from service.api.submission.resolve_settings import check_regions, resolve_settings
from service.api.submission.result_cache import compared_key, request_key, reuse_result
from service.api.submission.served_models import check_served, check_together, requested_name
from service.api.submission.true_labels import resolve_true_labels
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
from service.jobs.claims import AlreadyClaimedError
from service.jobs.records import JobSpec, State
from service.jobs.redis_keys import new_id
from service.jobs.worker_registry import read_live_workers
from service.schemas.documents import ClassName, ErrorCode, ImageInfo, LabelMapInfo
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
    prepare = partial(_prepare, services, upload, default_priority="interactive")
    [submission] = await services.process.heavy_calls.run(prepare)
    accept = partial(services.process.submissions.accept, explanation_id, submission.spec)
    enqueue = partial(_enqueue, services.process, upload, {explanation_id: submission}, accept)
    await to_thread.run_sync(enqueue, limiter=services.process.storing)


async def submit_batch(services: RequestServices, upload: Upload, batch_id: str) -> None:
    """Submits all pictures of a batch, or none. Raises as `submit`."""
    limits, count = services.process.settings, len(upload.images)
    most = min(limits.max_queued, limits.max_queued_per_key if services.caller.name else count)
    if count > most:  # a retry cannot help
        detail = f"a batch may have at most {most} pictures here: no more may be queued at once"
        raise ApiError(ErrorCode.TOO_LARGE, detail, "images", count, {"maximum": most})
    prepare = partial(_prepare, services, upload, default_priority="batch")
    members = {new_id(): each for each in await services.process.heavy_calls.run(prepare)}
    specs = {id_: each.spec.model_copy(update={"batch": batch_id}) for id_, each in members.items()}
    accept = partial(services.process.submissions.accept_batch, batch_id, specs)
    enqueue = partial(_enqueue, services.process, upload, members, accept)
    await to_thread.run_sync(enqueue, limiter=services.process.storing)


@dataclass(frozen=True)
class SubmissionPlan:
    """The settings of every picture, and the models as last announced."""

    settings: ResolvedSettings
    card: ModelCard  # when the model was last available; finds earlier results
    model: ModelRef  # identity of the model with these settings
    requested: str | None  # the model named in the request
    cards: Sequence[ModelCard]  # empty if no worker is alive
    workers: Mapping[str, Sequence[ModelCard]]  # the live ones, with their models
    compared_card: ModelCard | None = None
    compared: ModelRef | None = None

    def check_served(self) -> None:
        """Raises ApiError if no worker serves or is loading the model, or both that it compares."""
        check_served(self.requested, self.card, self.cards)
        if self.compared_card:
            name, setting = self.compared_card.name, "compare_with"
            check_served(name, self.compared_card, self.cards, setting=setting)
            check_together([self.card.name, name], self.workers, setting=setting)


@dataclass(frozen=True)
class Submission:
    """The job for one picture, and an earlier identical explanation, if any."""

    plan: SubmissionPlan
    spec: JobSpec
    earlier: State | None


def _prepare(
    services: RequestServices, upload: Upload, *, default_priority: Priority
) -> list[Submission]:
    """Resolves the settings and checks every picture. Blocking. Raises ApiError."""
    process = services.process
    if not process.identity.last.store_fits:
        _check_store(process)
    label_map = inspect_label_map(upload, process.settings.max_pixels, process.heavy_calls.reserve)
    workers, limits = read_live_workers(process.redis), process.settings
    priority = upload.settings.priority or default_priority
    settings, card, compared = resolve_settings(
        upload.settings.model_copy(
            update={"priority": priority, "retention_s": _retention_s(services, upload)}
        ),
        workers.usable,
        max_evals=limits.max_evals,
        max_values=limits.max_values,
        label_map=label_map,
    )
    plan = SubmissionPlan(
        settings,
        card,
        model=model_ref(card.name, card.parts, settings.fit),
        requested=requested_name(upload.settings.model),
        cards=workers.cards if workers.workers else [],
        workers=workers.workers,
        compared_card=compared,
        compared=model_ref(compared.name, compared.parts, settings.fit) if compared else None,
    )
    true_labels = resolve_true_labels(upload.settings, card, len(upload.images))
    about = zip(upload.images.items(), upload.file_names, true_labels, strict=True)
    return [
        _prepare_one(services, upload, plan, label_map, file_name, true_label, *image)
        for image, file_name, true_label in about
    ]


def _retention_s(services: RequestServices, upload: Upload) -> int | None:
    """Returns how long to keep it; None: as long as the server does by then. Raises ApiError."""
    asked, of_key = upload.settings.retention_s, services.caller.retention_s
    if upload.reproduces:  # the first run may have had another key
        return of_key
    most = of_key or services.process.settings.retention_s
    if asked is not None and asked > most:
        whose = f"the key {services.caller.name}" if of_key else "this server"
        detail = f"retention_s: {whose} keeps explanations for at most {most} seconds"
        bounds = {"minimum": 1, "maximum": most}
        raise ApiError(ErrorCode.INVALID_SETTINGS, detail, "settings.retention_s", asked, bounds)
    return asked or of_key


def _check_store(services: ProcessServices) -> None:
    """Refuses to write to a store that does not belong to this Redis. Raises ApiError."""
    match = services.identity.recent()
    if not match.store_fits:
        raise mismatch_problem(match)


def _prepare_one(
    services: RequestServices,
    upload: Upload,
    plan: SubmissionPlan,
    label_map: LabelMapInfo | None,
    file_name: str | None,
    true_label: ClassName | None,
    name: str,
    content: bytes,
) -> Submission:
    """Checks one picture; an earlier result needs neither decoding nor a worker."""
    card, model = plan.card, plan.model
    index = true_label.index if true_label else None
    settings = plan.settings.model_copy(update={"true_label": index})
    sha256 = hashlib.sha256(content).hexdigest()
    owner = services.caller.name
    key = request_key(sha256, label_map, settings, model.fingerprint, card, owner)
    known = model.fingerprint
    if plan.compared and plan.compared_card:
        key = compared_key(key, plan.compared.fingerprint, plan.compared_card)
        known = known and plan.compared.fingerprint
    earlier = (
        services.process.submissions.earlier(key, owner)
        if upload.caching is CachePolicy.USE
        else None
    )
    if not earlier:
        plan.check_served()
    inspected = earlier.spec.image if earlier and earlier.spec else None
    image = inspected or _inspect(services.process, name, content, sha256)
    spec = JobSpec(
        settings=settings,
        model=model,
        compared=plan.compared,
        image=image.model_copy(update={"name": file_name}),
        label_map=label_map,
        true_label=true_label,
        reproduces=upload.reproduces,
        owner=owner,
        request_id=request_id(),
        traceparent=services.process.tracer.traceparent(),
        cache=key if known and upload.caching is not CachePolicy.AVOID else None,
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
    submissions: Mapping[str, Submission],
    accept: Callable[..., None],
) -> None:
    """Stores the files and queues the jobs. Raises ApiError, AlreadyClaimedError.

    Reserves the ids first: if a later step fails, housekeeping deletes the files.
    """
    _check_store(services)
    services.submissions.reserve(*submissions)
    earlier = {}
    for (id_, each), image in zip(submissions.items(), upload.images.values(), strict=True):
        if each.earlier and reuse_result(services, each.earlier, id_):
            earlier[id_] = each.earlier
            continue
        each.plan.check_served()  # again: the earlier result may be gone
        services.store.put(image_key(id_), image)
        if upload.label_map is not None:
            services.store.put(label_map_key(id_), upload.label_map)
    try:
        accept(timeout_s=services.settings.deadline_s, earlier=earlier, claim=upload.claim)
    except QueueLimitError as full:
        _discard(services, submissions)
        raise queue_problem(full) from full
    except AlreadyClaimedError:
        _discard(services, submissions)
        raise


def queue_problem(full: QueueLimitError) -> ApiError:
    own = isinstance(full, OwnerShareFullError)
    code = ErrorCode.SHARE_FULL if own else ErrorCode.QUEUE_FULL
    headers = retry_after(min(full.retry_s or DEFAULT_RETRY_S, MAX_RETRY_S))
    return ApiError(code, str(full), headers=headers)


def _discard(services: ProcessServices, ids: Iterable[str]) -> None:
    """Deletes the files of explanations that were not accepted."""
    for explanation_id in ids:
        try:
            services.store.delete_explanation(explanation_id)
        except StoreError as error:
            log.warning("upload left to the sweep", id=explanation_id, cause=error.cause)
