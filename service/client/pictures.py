"""Pictures as users have them -> the file name and bytes of an upload, or an address."""

import io
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

NAME = "picture"  # of an upload that has no file name
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by number of channels
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # of Pillow


@runtime_checkable
class PilImage(Protocol):
    """A `PIL.Image.Image`; the client does not import Pillow."""

    @property
    def mode(self) -> str: ...
    def convert(self, mode: str) -> Any: ...
    def save(self, fp: Any, format: str) -> None: ...


class BinaryFile(Protocol):
    """A file that is open for reading bytes."""

    def read(self) -> bytes: ...


File = tuple[str, bytes]  # its name and contents


@dataclass(frozen=True)
class Address:
    """The URL of a picture, which the server fetches."""

    url: str


Picture = str | os.PathLike[str] | bytes | BinaryFile | PilImage | NDArray[Any]


def is_url(picture: object) -> bool:
    return isinstance(picture, str) and picture.lower().startswith(("http://", "https://"))


def file_of(picture: Picture) -> File | Address:
    """Return the file name and the bytes to upload; of a URL, the address to send in their place.

    A file is uploaded as it is. A Pillow image and an array become a PNG of their pixels; modes
    that PNG does not have are converted to RGB. Raises ValueError, TypeError, OSError.
    """
    if isinstance(picture, bytes | bytearray | memoryview):
        return NAME, bytes(picture)
    if isinstance(picture, str) and is_url(picture):
        return Address(picture)
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        return path.name, path.read_bytes()
    if isinstance(picture, np.ndarray):
        return f"{NAME}.png", png_of(to_uint8(picture))
    if isinstance(picture, PilImage):
        if picture.mode in ("F", "I"):
            raise ValueError(
                f"a Pillow image of mode {picture.mode} has no fixed range of values; convert it "
                'to "L" or "RGB"'
            )
        image = picture if picture.mode in PNG_MODES else picture.convert("RGB")
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        name = getattr(picture, "filename", "")
        return Path(name).with_suffix(".png").name if name else f"{NAME}.png", buffer.getvalue()
    if hasattr(picture, "read"):
        content = picture.read()
        if not isinstance(content, bytes):
            raise TypeError('the file is open as text; open it with mode "rb"')
        name = getattr(picture, "name", None)
        return Path(name).name if isinstance(name, str) else NAME, content
    is_list = isinstance(picture, list | tuple)
    raise TypeError(
        "a picture is a path, a URL, bytes, an open file, a Pillow image or a NumPy array; "
        f"received {type(picture).__name__}" + ("; for several: explain_all" if is_list else "")
    )


def several(pictures: Iterable[Picture]) -> Iterable[Picture]:
    """Return the pictures. Raises TypeError if they are a single one."""
    received = ""
    if isinstance(pictures, str | os.PathLike | bytes | bytearray | PilImage | io.IOBase):
        received = f"one {type(pictures).__name__}"
    elif isinstance(pictures, np.ndarray) and (
        pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[2] in COLOUR_TYPES)
    ):
        received = f"an array of the shape {pictures.shape}"
    if received:
        raise TypeError(
            "several pictures are a list, an iterator or an array (N, H, W) or (N, H, W, C); those "
            f'of a folder: sorted(Path("photos").glob("*.jpg")); received {received}'
        )
    return pictures


def to_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the pixels as (H, W, C) in 0..255.

    uint8 is taken as it is; floats must lie in 0..1 and are multiplied by 255 and rounded.
    Shapes: (H, W), or (H, W, C) of 1 to 4 channels: grey, grey and alpha, RGB, RGBA.
    Raises ValueError.
    """
    pixels = array[:, :, np.newaxis] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in COLOUR_TYPES or not pixels.size:
        raise ValueError(
            f"an array must have the shape (H, W) or (H, W, 1 to 4); received {array.shape}"
        )
    if pixels.dtype == np.uint8:
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(f"an array must be uint8, 0..255, or float, 0..1; received {pixels.dtype}")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # also if NaN
        raise ValueError(
            f"an array of floats must lie in 0..1; received values from {low:g} to {high:g}: "
            "divide by 255, or convert to uint8"
        )
    rounded: NDArray[np.uint8] = np.rint(pixels * 255).astype(np.uint8)
    return rounded


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """Encode pixels (H, W, C) as PNG."""
    height, width, channels = pixels.shape
    lines = np.empty((height, 1 + width * channels), np.uint8)
    lines[:, 0] = 1  # filter Sub: each byte less that of the pixel to the left
    lines[:, 1:] = np.diff(pixels, axis=1, prepend=np.uint8(0)).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
