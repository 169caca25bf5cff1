"""An upload -> an explanation in the queue, or a batch of them, or the reason why not."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog
from anyio import to_thread

from service.api.errors import ApiError, retry_after
from service.api.label_maps import check_size, inspect_label_map
from service.api.resolve import no_worker, resolve
from service.api.services import Services
from service.api.upload import Upload
from service.contract.ledger import NoRoom, Order, ShareFull, new_id
from service.contract.pictures import (
    FORMATS,
    BrokenPicture,
    NotAPicture,
    Picture,
    TooManyPixels,
    UnfitPicture,
    decode_picture,
)
from service.contract.presence import live_workers, read_cards
from service.contract.request import Priority, ResolvedSettings
from service.contract.schema import ErrorCode, ImageInfo, LabelMapInfo, ModelCard, ModelRef
from service.contract.store import StoreError, image_key, label_map_key

UNKNOWN_S = 10  # until there is room, where nothing has ended yet
LONGEST_S = 600

log = structlog.get_logger(__name__)


class Admit(Protocol):
    """Makes of an upload what is then known by the id."""

    async def __call__(self, services: Services, upload: Upload, id_: str, /) -> None: ...


async def admit(services: Services, upload: Upload, explanation_id: str) -> None:
    """Check it against models and limits, keep what was sent, queue the job. Raises ApiError."""
    [order] = await _orders(services, upload, priority="interactive")
    accept = partial(services.ledger.accept, explanation_id, order)
    await to_thread.run_sync(_enqueue, services, upload, [explanation_id], accept)


async def admit_batch(services: Services, upload: Upload, batch_id: str) -> None:
    """The same with all pictures of a batch, or with none of them. Raises ApiError."""
    orders = await _orders(services, upload, priority="batch")
    members = {new_id(): order.model_copy(update={"batch": batch_id}) for order in orders}
    accept = partial(services.ledger.accept_batch, batch_id, members)
    await to_thread.run_sync(_enqueue, services, upload, list(members), accept)


async def _orders(services: Services, upload: Upload, *, priority: Priority) -> list[Order]:
    """What is to be done for each picture; `priority`: where the settings say none."""
    max_pixels = services.settings.max_pixels
    read = partial(to_thread.run_sync, limiter=services.heavy)
    label_map = await read(inspect_label_map, upload, max_pixels)
    settings, card = await to_thread.run_sync(_resolved, services, upload, label_map, priority)
    images = [await read(_inspect, *image, max_pixels) for image in upload.images.items()]
    if label_map and card.input_shape:
        for image in images:
            check_size(label_map, image, card.input_shape)
    model = ModelRef(name=card.name, digest=card.digest)
    owner = services.caller.name
    return [
        Order(settings=settings, model=model, image=image, label_map=label_map, owner=owner)
        for image in images
    ]


def _resolved(
    services: Services, upload: Upload, label_map: LabelMapInfo | None, priority: Priority
) -> tuple[ResolvedSettings, ModelCard]:
    if not live_workers(services.redis):
        raise no_worker()
    cards = read_cards(services.redis)
    regions = label_map.regions if label_map else None
    limit = services.settings.max_evals
    settings = upload.settings.model_copy(update={"priority": upload.settings.priority or priority})
    return resolve(settings, cards, max_evals=limit, regions=regions)


def _inspect(name: str, content: bytes, max_pixels: int) -> ImageInfo:
    picture = _decode(name, content, max_pixels)
    height, width = picture.pixels.shape[:2]
    return ImageInfo(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        format=picture.format,
        width=width,
        height=height,
    )


def _decode(name: str, content: bytes, max_pixels: int) -> Picture:
    try:
        return decode_picture(content, max_pixels=max_pixels)
    except TooManyPixels as error:
        accepted = {"maximum": max_pixels}
        raise ApiError(ErrorCode.TOO_LARGE, str(error), name, None, accepted) from error
    except (BrokenPicture, UnfitPicture) as error:
        raise ApiError(ErrorCode.INVALID_IMAGE, str(error), name) from error
    except NotAPicture as error:
        code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
        raise ApiError(code, str(error), name, None, list(FORMATS)) from error


def _enqueue(
    services: Services, upload: Upload, explanation_ids: list[str], accept: Callable[..., None]
) -> None:
    """The reservation comes first: whatever fails after it, the files are swept in the end."""
    services.ledger.reserve(*explanation_ids)
    for explanation_id, image in zip(explanation_ids, upload.images.values(), strict=True):
        services.store.put(image_key(explanation_id), image)
        if upload.label_map is not None:
            services.store.put(label_map_key(explanation_id), upload.label_map)
    try:
        accept(timeout_s=services.settings.deadline_s)
    except NoRoom as full:
        for explanation_id in explanation_ids:
            _discard(services, explanation_id)
        raise _no_room(full) from full


def _no_room(full: NoRoom) -> ApiError:
    code = ErrorCode.SHARE_FULL if isinstance(full, ShareFull) else ErrorCode.QUEUE_FULL
    seconds = min(full.retry_s or UNKNOWN_S, LONGEST_S)
    return ApiError(code, str(full), headers=retry_after(seconds))


def _discard(services: Services, explanation_id: str) -> None:
    try:
        services.store.delete_explanation(explanation_id)
    except StoreError as error:
        log.warning("left for the sweep", id=explanation_id, reason=str(error))
