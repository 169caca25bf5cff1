"""Arrays as npy, npz and JSON, written in pieces: each array is read when it is written.

npy: NEP 1, https://numpy.org/neps/nep-0001-npy-format.html.
"""

import io
import math
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from service.api.http.send_in_pieces import PIECE_BYTES

NUMBERS_AT_ONCE = 20_000  # of JSON: encoding them holds the GIL for some milliseconds
HALF_EXPONENT = 15  # scaled numbers are below 2^15; float16 ends at 2^16
FASTEST_LEVEL = 1  # of zlib: higher levels hardly shrink attributions


@dataclass(frozen=True)
class NpzMember:
    """One array of an npz: header fields, and its bytes in order."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    content: Iterable[bytes]
    fortran_order: bool = False

    @classmethod
    def of(cls, name: str, array: NDArray[Any]) -> "NpzMember":
        """A member for an array in memory."""
        return cls(name, array.shape, array.dtype, rows(array))


def npy(
    shape: tuple[int, ...], outputs: Iterable[NDArray[np.float32]]
) -> tuple[int, Iterator[bytes]]:
    """Returns length and bytes of an npy of values (H, W, C, K), from outputs (H, W, C) float32."""
    dtype = np.dtype(np.float32)
    head = _head(shape, dtype, fortran_order=True)
    return len(head) + prod(shape) * dtype.itemsize, _after(head, in_fortran_order(outputs))


def npz(members: Iterable[NpzMember]) -> Iterator[bytes]:
    """Yields the bytes of a zip of these arrays."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=FASTEST_LEVEL) as archive:  # type: ignore[call-overload]
        for member in members:
            head = _head(member.shape, member.dtype, fortran_order=member.fortran_order)
            size = len(head) + prod(member.shape) * member.dtype.itemsize
            large = 1.05 * size > zipfile.ZIP64_LIMIT
            with archive.open(f"{member.name}.npy", "w", force_zip64=large) as file:
                for part in _after(head, member.content):
                    file.write(part)
                    yield sink.taken()
    yield sink.taken()


def json_document(value: Any) -> Iterator[bytes]:
    """Yields the value as JSON in one line; arrays, anywhere in it, become nested lists.

    Iterators become lists: what they yield is computed when it is written.
    """
    if isinstance(value, np.ndarray):
        yield from nested(value)
    elif isinstance(value, dict):
        for number, (name, each) in enumerate(value.items()):
            yield (b"," if number else b"{") + to_json(name) + b":"
            yield from json_document(each)
        yield b"}" if value else b"{}"
    elif isinstance(value, list | Iterator):
        first = True
        for each in value:
            yield b"[" if first else b","
            yield from json_document(each)
            first = False
        yield b"[]" if first else b"]"
    else:
        yield to_json(value)


def nested(array: NDArray[Any]) -> Iterator[bytes]:
    """Yields the array as JSON, in nested lists."""
    if array.size <= NUMBERS_AT_ONCE or array.ndim == 1:
        yield to_json(array.tolist())
        return
    for number, part in enumerate(array):
        yield b"," if number else b"["
        yield from nested(part)
    yield b"]"


def in_fortran_order(outputs: Iterable[NDArray[Any]]) -> Iterator[bytes]:
    """Yields the bytes of an array (H, W, C, K) in Fortran order, from its outputs (H, W, C)."""
    return (output.tobytes(order="F") for output in outputs)


def in_half_precision(
    outputs: Iterable[NDArray[np.float32]], scales: list[float]
) -> Iterator[NDArray[np.float16]]:
    """Yields each output divided by a power of two, which it appends to scales.

    The largest number of an output becomes one of 2^14 to 2^15, so nothing overflows, and nothing
    vanishes that is 2^-39 of it or more. Dividing by a power of two rounds nothing.
    """
    for output in outputs:
        largest = float(np.abs(output).max(initial=0))
        exponent = math.frexp(largest)[1] - HALF_EXPONENT if largest else 0
        scales.append(math.ldexp(1, exponent))
        yield np.ldexp(output, -exponent).astype(np.float16)


def rows(array: NDArray[Any]) -> Iterator[bytes]:
    """Yields the bytes in C order, some rows at a time; the order in memory may be another."""
    if array.ndim == 0 or array.nbytes <= PIECE_BYTES:
        yield array.tobytes()
        return
    step = max(1, PIECE_BYTES * len(array) // array.nbytes)
    for start in range(0, len(array), step):
        yield array[start : start + step].tobytes()


def _after(head: bytes, content: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from content


def _head(shape: tuple[int, ...], dtype: np.dtype[Any], *, fortran_order: bool) -> bytes:
    head = io.BytesIO()
    described = {
        "shape": shape,
        "fortran_order": fortran_order,
        "descr": np.lib.format.dtype_to_descr(dtype),
    }
    np.lib.format.write_array_header_1_0(head, described)
    return head.getvalue()


class _Sink:
    """A write-only file; its content is taken out while it is written."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, content: bytes) -> int:
        self._written += content
        return len(content)

    def flush(self) -> None:
        """Does nothing: the sink has no buffer behind it."""

    def taken(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken
