"""Decodes an uploaded label map to the region of every pixel, 0..n-1; never unpickles."""

import io
import tokenize
from math import prod

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from service.images.decode_limits import LimitedReader
from service.images.formats import png
from service.schemas.requests import MAX_SUPERPIXELS

TABLE = 2**16  # labels of 8 or 16 bits
PART = 2**20  # pixels looked up at once, as each takes an index of 8 bytes
FORMS = ("PNG of 8- or 16-bit grey or with a palette", ".npy of whole numbers")
BROKEN_NPY = (
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    tokenize.TokenError,
    RecursionError,
    MemoryError,
)  # raised by NumPy for malformed headers
MODES = ("1", "L", "P", "I", "I;16")  # Pillow's modes of the accepted kinds of PNG


class LabelMapError(Exception):
    """Base of the errors of this module.

    LabelMapError
    └── LabelMapTooLargeError  more pixels or regions than allowed
    """


class LabelMapTooLargeError(LabelMapError):
    """More pixels or regions than allowed."""


def is_npy(content: bytes) -> bool:
    """Return whether a label map is an npy file rather than a PNG."""
    return content.startswith(npy.MAGIC_PREFIX)


def decode_label_map(content: bytes, *, max_pixels: int) -> NDArray[np.int32]:
    """Decode (H, W) whole numbers and renumber them as int32 regions 0..n-1, without gaps.

    Equal numbers are one region, connected or not; the smallest becomes 0. The EXIF orientation of
    a PNG is ignored. Raises LabelMapError, LabelMapTooLargeError.
    """
    read = _from_npy if is_npy(content) else _from_png
    labels = read(content, max_pixels)
    if labels.min() >= 0 and labels.max() < TABLE:  # sorting takes far more time and memory
        flat = labels.ravel()
        parts = range(0, flat.size, PART)
        taken = np.zeros(TABLE, dtype=bool)
        for start in parts:
            taken[flat[start : start + PART].astype(np.intp)] = True
        position = np.cumsum(taken, dtype=np.int32) - 1
        regions = np.empty(flat.size, dtype=np.int32)
        for start in parts:
            regions[start : start + PART] = position[flat[start : start + PART].astype(np.intp)]
        count = int(taken.sum())
    else:
        distinct, inverse = np.unique(labels, return_inverse=True)
        regions, count = np.asarray(inverse, dtype=np.int32), len(distinct)
    if count > MAX_SUPERPIXELS:
        raise LabelMapTooLargeError(f"it may have {MAX_SUPERPIXELS} regions; received {count}")
    return regions.reshape(labels.shape)


def _from_png(content: bytes, max_pixels: int) -> NDArray[np.generic]:
    if not content.startswith(png.SIGNATURE):
        raise LabelMapError(f"it must be a {' or a '.join(FORMS)}")
    try:
        with PngImageFile(LimitedReader(png.extract(content).content)) as image:
            _check_shape(image.size[::-1], max_pixels)
            if image.mode not in MODES:
                raise LabelMapError(f"a PNG of mode {image.mode}; accepted are {FORMS[0]}")
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
        raise LabelMapError(f"a broken PNG: {error}") from error


def _from_npy(content: bytes, max_pixels: int) -> NDArray[np.generic]:
    """Read an .npy; checks the shape and type in its header before allocating memory."""
    stream = io.BytesIO(content)
    try:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        shape, by_columns, dtype = read[npy.read_magic(stream)](stream)
    except BROKEN_NPY as error:
        raise LabelMapError(f"a broken .npy: {error}") from error
    if dtype.kind not in "bui":
        raise LabelMapError(f"an .npy of {dtype}; whole numbers are accepted")
    _check_shape(shape, max_pixels)
    if len(content) - stream.tell() != prod(shape) * dtype.itemsize:
        raise LabelMapError(f"a broken .npy: its length does not match {dtype} of shape {shape}")
    labels = np.frombuffer(content, dtype, offset=stream.tell())
    return labels.reshape(shape, order="F" if by_columns else "C")


def _check_shape(shape: tuple[int, ...], max_pixels: int) -> None:
    if len(shape) != 2 or min(shape) < 1 or bool in map(type, shape):  # bool is an int in Python
        raise LabelMapError(f"it must have rows and columns (H, W); received {shape}")
    if prod(shape) > max_pixels:
        raise LabelMapTooLargeError(f"it may have {max_pixels} pixels; received {shape}")
