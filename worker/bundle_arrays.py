"""Reads the arrays of a bundle, which anybody may have written: none larger than the record says.

Shapes and types are compared before a number is inflated, and nothing is unpickled.
"""

import io
import zipfile
from math import prod
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from service.infra.result_arrays import check_axes
from service.schemas.record import Record

MAX_BYTES = 2**31  # of all arrays


class ArraysError(Exception):
    """The arrays are not those of an explanation; the message says in which respect."""


class _Header(NamedTuple):
    """What an npy says of itself. start: of its numbers."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int


def read_arrays(content: bytes, record: Record) -> dict[str, NDArray[Any]]:
    """Read an npz whose arrays have the shapes of the record. Raises ArraysError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            headers = {entry.filename: _header(archive, entry) for entry in archive.infolist()}
            _check_size(headers, record)
            return {
                name.removesuffix(".npy"): _read(archive, name, header)
                for name, header in headers.items()
            }
    except ArraysError:
        raise
    except Exception as error:  # zipfile and NumPy raise many kinds for damaged files
        raise ArraysError(f"they cannot be read: {error}") from error


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Header:
    """Read the head of an npy, and compare it with the size of the file."""
    with archive.open(entry) as member:
        file = cast(BinaryIO, member)
        if np.lib.format.read_magic(file) == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        header = _Header(shape, fortran, dtype, member.tell())
    if dtype.kind not in "fiuU" or min(shape, default=0) < 0:
        raise ArraysError(f"{entry.filename} is an array of {dtype} and shape {shape}")
    needed = header.start + prod(shape) * dtype.itemsize
    if needed != entry.file_size:
        raise ArraysError(
            f"{entry.filename} of shape {shape} needs {needed} bytes; it has {entry.file_size}"
        )
    return header


def _check_size(headers: dict[str, _Header], record: Record) -> None:
    """Check all shapes against each other and those of the record."""
    arrays = {name.removesuffix(".npy"): header for name, header in headers.items()}
    size = sum(prod(each.shape) * each.dtype.itemsize for each in headers.values())
    if size > MAX_BYTES:
        raise ArraysError(f"they inflate to {size} bytes; the most are {MAX_BYTES}")
    if len(arrays) != len(headers) or "values" not in arrays:
        raise ArraysError("they have no values, or an array twice")
    shape, outputs, parts = arrays["values"].shape, record.result.outputs, record.result.model.parts
    expected = (*(parts.input_shape if parts else shape[:3]), len(outputs))
    if shape != expected:
        raise ArraysError(f"the values are of shape {shape}; by the record of shape {expected}")
    try:
        check_axes({name: (each.shape, each.dtype) for name, each in arrays.items()}, shape)
    except ValueError as error:
        raise ArraysError(str(error)) from error


def _read(archive: zipfile.ZipFile, name: str, header: _Header) -> NDArray[Any]:
    numbers = np.frombuffer(archive.read(name), header.dtype, offset=header.start)
    return numbers.reshape(header.shape, order="F" if header.fortran else "C")
