"""Checks that a label map is expected, can be decoded, and has a permitted size."""

import hashlib
import struct

from service.api.http.problems import ApiError
from service.api.uploads.upload import Upload
from service.images.decoding import ReserveMemory
from service.images.label_maps import (
    FORMS,
    LabelMapError,
    LabelMapTooLargeError,
    decode_label_map,
)
from service.schemas.documents import ErrorCode, ImageInfo, LabelMapInfo
from service.schemas.requests import MAX_SUPERPIXELS, Labels

FIELD = "label_map"
PNG_HEAD, PNG_SIZE = b"\x89PNG\r\n\x1a\n", slice(16, 24)  # signature; width and height
NPY_MAGIC = b"\x93NUMPY"
PIXEL_BYTES = 12  # of memory for each pixel while regions are counted


def inspect_label_map(
    upload: Upload, max_pixels: int, holding: ReserveMemory
) -> LabelMapInfo | None:
    """Describes the label map; None if none is expected or sent. Raises ApiError."""
    asked = isinstance(upload.settings.superpixels, Labels)
    if upload.label_map is None and asked:
        detail = "settings.superpixels.kind is labels, but no label_map was sent"
        raise ApiError(ErrorCode.BAD_REQUEST, detail, FIELD, None, list(FORMS))
    if upload.label_map is None:
        return None
    if not asked:
        detail = "a label_map was sent, but settings.superpixels.kind is not labels"
        raise ApiError(
            ErrorCode.BAD_REQUEST, detail, FIELD, None, {"superpixels": {"kind": "labels"}}
        )
    with holding(_memory_bytes(upload.label_map, max_pixels)):
        return _describe(upload.label_map, max_pixels)


def _memory_bytes(content: bytes, max_pixels: int) -> int:
    """Returns the bytes of memory to decode it and count its regions, however compressed it is."""
    pixels = max_pixels
    if content.startswith(PNG_HEAD) and len(content) >= PNG_SIZE.stop:
        width, height = struct.unpack(">II", content[PNG_SIZE])
        pixels = min(width * height, max_pixels)
    elif content.startswith(NPY_MAGIC):
        pixels = min(len(content), max_pixels)  # at least a byte for each pixel
    return PIXEL_BYTES * pixels


def _describe(content: bytes, max_pixels: int) -> LabelMapInfo:
    try:
        labels = decode_label_map(content, max_pixels=max_pixels)
    except LabelMapTooLargeError as error:
        accepted = {"pixels": max_pixels, "regions": MAX_SUPERPIXELS}
        raise ApiError(ErrorCode.TOO_LARGE, f"{FIELD}: {error}", FIELD, None, accepted) from error
    except LabelMapError as error:
        code = ErrorCode.INVALID_LABEL_MAP
        raise ApiError(code, f"{FIELD}: {error}", FIELD, None, list(FORMS)) from error
    height, width = labels.shape
    return LabelMapInfo(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        width=width,
        height=height,
        regions=int(labels.max()) + 1,
    )


def check_size(label_map: LabelMapInfo, image: ImageInfo, shape: tuple[int, int, int]) -> None:
    """Checks that it has the size of the upright picture or of the model's input (H, W, C).

    Raises ApiError.
    """
    received = {"width": label_map.width, "height": label_map.height}
    accepted = [
        {"width": image.width, "height": image.height},
        {"width": shape[1], "height": shape[0]},
    ]
    if received not in accepted:
        detail = f"{FIELD} must have the size of the upright picture or of the model's input"
        raise ApiError(ErrorCode.INVALID_LABEL_MAP, detail, FIELD, received, accepted)
