"""Limits a model's unpacked size by the sizes that its files declare, before unpacking anything.

Zip archives and HDF5 datasets may be compressed, zeros a thousandfold, and a config may ask for
weights that no file has. A model may unpack to `EXPANSION` times its file's size, as trained
weights hardly compress, and never to more than `max_bytes` of the models file.
"""

import math
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from worker.models.errors import ModelUnavailableError

EXPANSION = 20
MIN_LIMIT = 64 * 2**20  # bytes that any model may have
MAX_CONFIG = 32 * 2**20  # bytes
UNPACKED_IN_STEPS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # read in small steps
MIB = 2**20


@dataclass(frozen=True)
class SizeLimit:
    """The most bytes of weights a model may have, by the size of its file."""

    bytes: int
    text: str  # the limit and where it comes from

    @classmethod
    def of(cls, size: int, max_bytes: int) -> "SizeLimit":
        by_size = max(MIN_LIMIT, EXPANSION * size)
        if by_size < max_bytes:
            return cls(by_size, f"{by_size / MIB:.0f} MiB, for a file of {size / MIB:.1f} MiB")
        return cls.up_to(max_bytes)

    @classmethod
    def up_to(cls, max_bytes: int) -> "SizeLimit":
        """Return the limit `max_bytes` alone, for weights that are in no file."""
        return cls(max_bytes, f"{max_bytes / MIB:.0f} MiB, its max_bytes")

    def check(self, wanted: int, what: str) -> None:
        """Raise ModelUnavailableError where `wanted` bytes exceed the limit."""
        if wanted > self.bytes:
            raise ModelUnavailableError(
                f"{what} {wanted / MIB:.0f} MiB unpacked; at most {self.text}, are accepted"
            )


def check_archive(archive: zipfile.ZipFile, limit: SizeLimit) -> None:
    """Check the sizes that an archive's members declare; no more than that is ever read.

    Raises ModelUnavailableError.
    """
    for member in archive.infolist():
        if member.compress_type not in UNPACKED_IN_STEPS:
            raise ModelUnavailableError(
                f"{member.filename} is compressed by method {member.compress_type}; stored and "
                f"deflated members are accepted"
            )
        if member.filename.endswith(".json") and member.file_size > MAX_CONFIG:
            raise ModelUnavailableError(
                f"{member.filename} has {member.file_size / MIB:.0f} MiB unpacked; "
                f"at most {MAX_CONFIG // MIB} MiB are accepted"
            )
    limit.check(sum(member.file_size for member in archive.infolist()), "its members are")


def check_hdf5(file: h5py.File, limit: SizeLimit) -> None:
    """Check the sizes that an HDF5 file's datasets and their chunks declare.

    Raises ModelUnavailableError.
    """
    sizes: list[int] = []

    def add(_: str, each: h5py.Group | h5py.Dataset) -> None:
        if isinstance(each, h5py.Dataset):
            sizes.append(
                each.dtype.itemsize * max(math.prod(each.shape), math.prod(each.chunks or ()))
            )

    file.visititems(add)
    limit.check(sum(sizes), "its weights are")


def check_weights(shapes: Iterable[tuple[Any, str]], limit: SizeLimit) -> None:
    """Check the variables of a model, each a shape and a dtype. Raises ModelUnavailableError."""
    wanted = 0
    for shape, dtype in shapes:
        bits = int("".join(filter(str.isdigit, dtype)) or 8)  # "bool" has no number
        wanted += math.prod(shape) * max(1, bits // 8)
    limit.check(wanted, "its layers need weights of")


def check_saved_model(folder: Path, max_bytes: int) -> None:
    """Check the files of a SavedModel and the variables it declares.

    Raises ModelUnavailableError.
    """
    import tensorflow as tf

    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    limit = SizeLimit.of(size, max_bytes)
    limit.check(size, "its files are")
    if (folder / "variables" / "variables.index").is_file():
        variables = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        shapes, dtypes = (
            variables.get_variable_to_shape_map(),
            variables.get_variable_to_dtype_map(),
        )
        limit.check(
            sum(math.prod(shapes[name]) * max(1, dtypes[name].size) for name in shapes),
            "its variables are",
        )
