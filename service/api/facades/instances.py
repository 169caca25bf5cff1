"""Reads the instances of an explain request as pictures.

A picture of pixels is a long list: 150,000 numbers for 224 x 224 in colour. It is parsed row by
row, so that neither all numbers are in memory as Python's, nor the parser keeps other threads from
running for longer than a row takes.
"""

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.api.http.problems import ApiError
from service.api.uploads import strict_json
from service.api.uploads.base64_text import decode_base64
from service.api.uploads.json_reader import JsonReader
from service.schemas.documents import ErrorCode
from service.schemas.requests import MAX_IMAGES_IN_BATCH

UNNAMED = "image"  # name of an input that the instance does not name
ENCODED = "b64"
BESIDE = ("mimeType", "mime_type")  # of AutoML's {"content": …}; the bytes tell their format
MAX_WRAPPERS = 3  # objects around a picture
CHANNELS = (1, 3, 4)
ACCEPTED = [
    "a file in base64, or a data: URL",
    'an object with one field: {"b64": file}, {"image_bytes": {"b64": file}}, {"image": pixels}',
    "pixels (H, W) or (H, W, 1, 3 or 4) as nested lists of whole numbers 0..255 or fractions 0..1",
]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Instance:
    """A picture, and the name that its input has in the request."""

    input_name: str
    content: bytes


@dataclass(frozen=True)
class Instances:
    """All pictures of a request, and its document without them."""

    pictures: list[Instance]
    document: dict[str, Any]


def read_instances(content: bytes) -> Instances:
    """Parses a request. Raises ApiError, which names an instance as `instances.N`, from 0."""
    rest, pictures = dict[str, str](), list[Instance]()
    given = list[str]()
    try:
        reader = JsonReader(content.decode("utf-8-sig"))
        for name in reader.fields():
            if name in ("instances", "inputs"):
                given.append(name)
                pictures += [_read_picture(reader, position) for position in reader.elements()]
            elif name in rest:
                raise ValueError("an object has duplicate field names")
            else:
                rest[name] = reader.source()
        reader.end()
    except UnicodeDecodeError as error:
        raise _refused("body", f"is not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise _refused("body", f"is not valid JSON: {error}") from error
    if len(given) != 1:
        detail = "instances: the field, or inputs in its place, must be there once"
        raise ApiError(ErrorCode.BAD_REQUEST, detail, "instances", given or None, ["instances"])
    if not pictures:
        raise _wrong_count(0)
    fields = ",".join(f"{json.dumps(name)}:{text}" for name, text in rest.items())
    return Instances(pictures, strict_json.loads(f"{{{fields}}}".encode(), what="body"))


def _read_picture(reader: JsonReader, position: int) -> Instance:
    """Reads an element of instances. Raises ApiError, ValueError."""
    if position == MAX_IMAGES_IN_BATCH:
        raise _wrong_count(f"more than {MAX_IMAGES_IN_BATCH}")
    field = f"instances.{position}"
    name, found = _unwrapped(reader, field, MAX_WRAPPERS)
    if isinstance(found, str):
        return Instance(name, decode_base64(field, found))
    if isinstance(found, np.ndarray):
        return Instance(name, _png(found))
    raise _refused(field, "is not a picture", found)


def _unwrapped(reader: JsonReader, field: str, wrappers: int) -> tuple[str, Any]:
    """Reads what up to that many objects hold; returns the name of the input, and that value.

    Lists are returned as pixels. Raises ApiError, ValueError.
    """
    if reader.next == "[":
        return UNNAMED, _joined(field, [_row(field, reader.value()) for _ in reader.elements()])
    if reader.next != "{" or not wrappers:
        return UNNAMED, reader.value()
    held = dict[str, tuple[str, Any]]()
    for name in reader.fields():
        if name in held:
            raise ValueError("an object has duplicate field names")
        held[name] = _unwrapped(reader, field, wrappers - 1)
    for name in BESIDE:
        held.pop(name, None)
    if len(held) != 1:
        raise _refused(field, "must have one field, which holds the picture", sorted(held))
    [(name, (inner, found))] = held.items()
    return (inner if name == ENCODED else name), found


# --- Pixels


def _row(field: str, row: Any) -> NDArray[Any]:
    """Returns a row, (W,) or (W, C). Raises ApiError."""
    try:
        numbers = np.array(row)
    except (ValueError, OverflowError):  # ragged
        numbers = np.array(None)
    if numbers.dtype.kind not in "iuf" or numbers.ndim not in (1, 2):
        raise _refused(field, "has a row that is not of numbers, (W,) or (W, C)", row)
    return numbers


def _joined(field: str, rows: list[NDArray[Any]]) -> Pixels:
    """Returns the pixels as 0..255, (H, W) or (H, W, C). Raises ApiError."""
    shapes = sorted({row.shape for row in rows})
    if len(shapes) != 1:
        raise _refused(field, "must have rows of one shape", [list(shape) for shape in shapes])
    numbers = np.stack(rows)
    if 0 in numbers.shape or (numbers.ndim == 3 and numbers.shape[2] not in CHANNELS):
        raise _refused(field, "must have the channels last, 1, 3 or 4", list(numbers.shape))
    low, high = float(numbers.min()), float(numbers.max())
    whole = numbers.dtype.kind != "f" or bool((numbers == np.rint(numbers)).all())
    if not (low >= 0 and high <= (255 if whole else 1)):  # also if NaN
        kind = "whole numbers must lie in 0..255" if whole else "fractions must lie in 0..1"
        advice = "send the picture as it is before the model's preprocessing"
        raise _refused(field, f"has values from {low:g} to {high:g}; {kind}: {advice}", [low, high])
    if whole and high == 1:
        said = "has only the values 0 and 1, which may be black and white or nearly all black"
        raise _refused(field, f"{said}: send 0 and 255, or a file", [low, high])
    pixels: Pixels = (numbers if whole else np.rint(numbers * 255)).astype(np.uint8)
    return pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _wrong_count(received: object) -> ApiError:
    detail = f"instances: 1 to {MAX_IMAGES_IN_BATCH} pictures are accepted; received {received}"
    bounds = {"minItems": 1, "maxItems": MAX_IMAGES_IN_BATCH}
    return ApiError(ErrorCode.BAD_REQUEST, detail, "instances", received, bounds)


def _refused(field: str, reason: str, received: Any = None) -> ApiError:
    accepted = None if field == "body" else ACCEPTED
    return ApiError(ErrorCode.BAD_REQUEST, f"{field} {reason}", field, received, accepted)
