"""An upload -> an explanation in the queue, or the reason why not."""

import hashlib

import structlog
from anyio import to_thread

from service.api.errors import ApiError, retry_after
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
from service.contract.schema import ErrorCode, ImageInfo, ModelRef, ResolvedSettings
from service.contract.store import StoreError, image_key

QUEUE_FULL_S = 10

log = structlog.get_logger(__name__)


async def admit(services: Services, upload: Upload, explanation_id: str) -> None:
    """Check it against models and limits, keep the picture, queue the job. Raises ApiError."""
    settings, model = await to_thread.run_sync(_resolved, services, upload)
    image = await to_thread.run_sync(
        _inspect, upload.image, services.settings.max_pixels, limiter=services.heavy
    )
    order = Order(settings=settings, model=model, image=image)
    await to_thread.run_sync(_enqueue, services, explanation_id, order, upload.image)


def _resolved(services: Services, upload: Upload) -> tuple[ResolvedSettings, ModelRef]:
    if not live_workers(services.redis):
        raise no_worker()
    cards = read_cards(services.redis)
    return resolve(upload.settings, cards, max_evals=services.settings.max_evals)


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


def _enqueue(services: Services, explanation_id: str, order: Order, content: bytes) -> None:
    """The reservation comes first: whatever fails after it, the picture is swept in the end."""
    services.ledger.reserve(explanation_id)
    services.store.put(image_key(explanation_id), content)
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
