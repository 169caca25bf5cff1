"""An upload -> an explanation in the queue, or the reason why not."""

import hashlib
from functools import partial

import structlog
from anyio import to_thread

from service.api.errors import ApiError, retry_after
from service.api.label_maps import check_size, inspect_label_map
from service.api.resolve import no_worker, resolve
from service.api.services import Services
from service.api.upload import Upload
from service.contract.ledger import Order, QueueFull
from service.contract.pictures import (
    FORMATS,
    BrokenPicture,
    NotAPicture,
    Picture,
    TooManyPixels,
    decode_picture,
)
from service.contract.presence import live_workers, read_cards
from service.contract.request import ResolvedSettings
from service.contract.schema import ErrorCode, ImageInfo, LabelMapInfo, ModelCard, ModelRef
from service.contract.store import StoreError, image_key, label_map_key

QUEUE_FULL_S = 10

log = structlog.get_logger(__name__)


async def admit(services: Services, upload: Upload, explanation_id: str) -> None:
    """Check it against models and limits, keep what was sent, queue the job. Raises ApiError."""
    max_pixels = services.settings.max_pixels
    read = partial(to_thread.run_sync, limiter=services.heavy)
    label_map = await read(inspect_label_map, upload, max_pixels)
    settings, card = await to_thread.run_sync(_resolved, services, upload, label_map)
    image = await read(_inspect, upload.image, max_pixels)
    if label_map and card.input_shape:
        check_size(label_map, image, card.input_shape)
    model = ModelRef(name=card.name, digest=card.digest)
    order = Order(settings=settings, model=model, image=image, label_map=label_map)
    await to_thread.run_sync(_enqueue, services, explanation_id, order, upload)


def _resolved(
    services: Services, upload: Upload, label_map: LabelMapInfo | None
) -> tuple[ResolvedSettings, ModelCard]:
    if not live_workers(services.redis):
        raise no_worker()
    cards = read_cards(services.redis)
    regions = label_map.regions if label_map else None
    limit = services.settings.max_evals
    return resolve(upload.settings, cards, max_evals=limit, regions=regions)


def _inspect(content: bytes, max_pixels: int) -> ImageInfo:
    picture = _decode(content, max_pixels)
    height, width = picture.pixels.shape[:2]
    return ImageInfo(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        format=picture.format,
        width=width,
        height=height,
    )


def _decode(content: bytes, max_pixels: int) -> Picture:
    try:
        return decode_picture(content, max_pixels=max_pixels)
    except TooManyPixels as error:
        accepted = {"maximum": max_pixels}
        raise ApiError(ErrorCode.TOO_LARGE, str(error), "image", None, accepted) from error
    except BrokenPicture as error:
        raise ApiError(ErrorCode.INVALID_IMAGE, str(error), "image") from error
    except NotAPicture as error:
        code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
        raise ApiError(code, str(error), "image", None, list(FORMATS)) from error


def _enqueue(services: Services, explanation_id: str, order: Order, upload: Upload) -> None:
    """The reservation comes first: whatever fails after it, the files are swept in the end."""
    services.ledger.reserve(explanation_id)
    services.store.put(image_key(explanation_id), upload.image)
    if upload.label_map is not None:
        services.store.put(label_map_key(explanation_id), upload.label_map)
    limits = services.settings
    try:
        services.ledger.accept(
            explanation_id, order, timeout_s=limits.deadline_s, longest=limits.max_queued
        )
    except QueueFull as full:
        _discard(services, explanation_id)
        headers = retry_after(QUEUE_FULL_S)
        raise ApiError(ErrorCode.QUEUE_FULL, str(full), headers=headers) from full


def _discard(services: Services, explanation_id: str) -> None:
    try:
        services.store.delete_explanation(explanation_id)
    except StoreError as error:
        log.warning("left for the sweep", id=explanation_id, reason=str(error))
