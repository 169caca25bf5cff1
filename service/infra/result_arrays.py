"""Writes and reads the arrays of an explanation as one npz; each output can be read alone.

Any npz reader can read the whole file. `values` and `standard_errors`, (H, W, C, K) float32, are in
Fortran order, so the numbers of an output are contiguous, and their deflate stream is flushed
before and after each output, so these bytes can be inflated alone. An index lists the offset and
the sha256 of each block. It is between the last array and the zip directory, where npz readers do
not look; its offset is recorded with the explanation.

ZIP: APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT; deflate:
RFC 1951, whose blocks start at a byte after a full flush.
"""

import io
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from service.infra.artifact_store import DamagedArtifactError, Store
from service.infra.artifacts import MAX_INFLATION, ArtifactSection, AttemptArtifacts
from service.schemas.fingerprint import COMPARED_ENTRIES, MODEL_ENTRIES

AXES = {  # axes and kind of number of each array
    "values": ("HWCK", np.float32),
    "standard_errors": ("HWCK", np.float32),
    "base_values": ("K", np.floating),
    "data": ("HWC", np.floating),
    "output_names": ("K", np.str_),
    "output_indices": ("K", np.integer),
    "players": ("HW", np.integer),
    "regions": ("HW|HWC", np.integer),
    "region_players": ("R", np.integer),
    "region_values": ("RK", np.float64),
    "region_standard_errors": ("RK", np.float64),
    "region_low": ("RK", np.float64),
    "region_high": ("RK", np.float64),
    "interaction_pairs": ("PN", np.integer),
    "interaction_values": ("PK", np.float64),
    "interaction_standard_errors": ("PK", np.float64),
    "interaction_low": ("PK", np.float64),
    "interaction_high": ("PK", np.float64),
    "alone_values": ("RK", np.float64),
    "alone_standard_errors": ("RK", np.float64),
    "alone_low": ("RK", np.float64),
    "alone_high": ("RK", np.float64),
    **dict.fromkeys((*MODEL_ENTRIES, *COMPARED_ENTRIES), ("", np.str_)),
}
REGION_ENTRIES = ("regions", "region_players", "region_values")  # absent if too many
REGION_ERROR_ENTRIES = ("region_standard_errors", "region_low", "region_high")
INTERACTION_ENTRIES = (  # all are present, or none is
    *("interaction_pairs", "interaction_values", "interaction_standard_errors"),
    *("alone_values", "alone_standard_errors"),
)
INTERACTION_BOUND_ENTRIES = ("interaction_low", "interaction_high", "alone_low", "alone_high")
OPTIONAL_ENTRIES = (  # may be absent, as from methods or versions that do not give them
    *("standard_errors", "players", *MODEL_ENTRIES, *COMPARED_ENTRIES),
    *REGION_ENTRIES,
    *REGION_ERROR_ENTRIES,
    *INTERACTION_ENTRIES,
    *INTERACTION_BOUND_ENTRIES,
)
BLOCK_ENTRIES = ("values", "standard_errors")  # one block per output
OUTPUT_ENTRIES = (  # (K,), (R, K) or (P, K), small: in one block
    *("base_values", "output_names", "output_indices"),
    *("region_values", *REGION_ERROR_ENTRIES),
    *INTERACTION_ENTRIES[1:],
    *INTERACTION_BOUND_ENTRIES,
)
RECORD_ENTRIES = ("output_indices", "output_names")  # also in the record
READ_AT_ONCE = 8 * 2**20  # bytes of compressed blocks
OUTPUTS_AT_ONCE = 16  # copied together: a CPU cache line holds 8 of them

Arrays = dict[str, NDArray[Any]]


class _Member(BaseModel):
    """One array of the file, stored as one block per output or as a single block."""

    shape: tuple[int, ...]
    dtype: str
    blocks: list[ArtifactSection]


_INDEX = TypeAdapter(dict[str, _Member])


def by_output(array: NDArray[np.floating]) -> Iterator[NDArray[np.float32]]:
    """Yield each output's (H, W, C) of (H, W, C, K), float32 in Fortran order.

    Copies a few outputs at a time.
    """
    for start in range(0, array.shape[-1], OUTPUTS_AT_ONCE):
        some = np.asfortranarray(array[..., start : start + OUTPUTS_AT_ONCE], dtype=np.float32)
        yield from (some[..., k] for k in range(some.shape[-1]))


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> tuple[bytes, ArtifactSection]:
    """Write the file; return its content and the section of its index.

    arrays: by name, `values` and any others; those of BLOCK_ENTRIES are (H, W, C, K), of any float
    type.
    """
    file, index = io.BytesIO(), {}
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            index[name] = _write_member(file, archive, name, array)
        content, offset = _INDEX.dump_json(index), file.tell()
        file.write(content)
        archive.start_dir = file.tell()
    return file.getvalue(), ArtifactSection.at(offset, content)


def _write_member(
    file: io.BytesIO, archive: zipfile.ZipFile, name: str, array: NDArray[Any]
) -> _Member:
    split = name in BLOCK_ENTRIES
    dtype = np.dtype(np.float32) if split else array.dtype
    parts = by_output(array) if split else iter([np.ascontiguousarray(array)])
    head = io.BytesIO()
    described = {
        "shape": array.shape,
        "fortran_order": split,
        "descr": np.lib.format.dtype_to_descr(dtype),
    }
    np.lib.format.write_array_header_1_0(head, described)

    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type = zipfile.ZIP_DEFLATED
    info.header_offset = file.tell()
    info.file_size = head.tell() + math.prod(array.shape) * dtype.itemsize
    large = info.file_size * 1.05 > zipfile.ZIP64_LIMIT
    info.CRC = zlib.crc32(head.getvalue())
    file.write(info.FileHeader(zip64=large))  # rewritten once the sizes are known

    start, blocks = file.tell(), []
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    file.write(deflate.compress(head.getvalue()) + deflate.flush(zlib.Z_FULL_FLUSH))
    for part in parts:
        raw = part.tobytes(order="F" if split else "C")
        info.CRC = zlib.crc32(raw, info.CRC)
        block = deflate.compress(raw) + deflate.flush(zlib.Z_FULL_FLUSH)
        blocks.append(ArtifactSection.at(file.tell(), block))
        file.write(block)
    file.write(deflate.flush())
    end = file.tell()

    info.compress_size = end - start
    file.seek(info.header_offset)
    file.write(info.FileHeader(zip64=large))
    file.seek(end)
    archive.filelist.append(info)
    return _Member(shape=array.shape, dtype=dtype.str, blocks=blocks)


def load_arrays(
    store: Store,
    key: str,
    recorded: AttemptArtifacts,
    labels: Sequence[tuple[int, str]],
    outputs: Sequence[int] | None = None,
    *,
    names: Sequence[str] | None = None,
) -> Arrays:
    """Read the arrays of these outputs, by position 0..K-1 and in this order; None: of all.

    labels: index and label of each of the K outputs, from the record. names: arrays to read, if
    present; None: all.

    Reads the index, which must match AXES, then only the blocks needed. Verifies each block by its
    sha256, and indices and labels by those of the record. Blocking. Raises MissingArtifactError,
    DamagedArtifactError, StoreError.
    """
    if recorded.shape[-1] != len(labels):
        raise DamagedArtifactError(
            f"{key!r} has {recorded.shape[-1]} outputs; expected {len(labels)}"
        )
    members = _read_index(store, key, recorded)
    wanted = {name: member for name, member in members.items() if names is None or name in names}
    arrays: Arrays = {}
    tasks: list[tuple[ArtifactSection, NDArray[Any]]] = []  # a block and its destination
    for name, member in wanted.items():
        split = name in BLOCK_ENTRIES
        kept = range(len(member.blocks)) if outputs is None or not split else outputs
        if not all(0 <= position < len(member.blocks) for position in kept):
            raise DamagedArtifactError(
                f"{key!r} has {len(member.blocks)} outputs; requested are {list(kept)}"
            )
        shape = (*member.shape[:-1], len(kept)) if split else member.shape
        arrays[name] = np.empty(shape, member.dtype, order="F" if split else "C")
        places = list(arrays[name].T) if split else [arrays[name]]  # each C-contiguous
        tasks += zip((member.blocks[position] for position in kept), places, strict=True)
    for group in _groups(sorted(tasks, key=lambda task: task[0].offset)):
        stored = store.get_ranges(key, [(block.offset, block.size) for block, _ in group])
        for (block, place), content in zip(group, stored, strict=True):
            block.check(key, content)
            place[...] = _inflate(key, content, place)
    for n, name in enumerate(RECORD_ENTRIES):
        if name in arrays and arrays[name].tolist() != [each[n] for each in labels]:
            raise DamagedArtifactError(f"{key!r} has other {name} than its record")
    if outputs is not None:
        for name in OUTPUT_ENTRIES:
            if name in arrays:
                arrays[name] = arrays[name][..., list(outputs)]
    return arrays


def _read_index(store: Store, key: str, recorded: AttemptArtifacts) -> dict[str, _Member]:
    """Read and validate the index. Raises DamagedArtifactError also for an invalid index."""
    index, size = recorded.blocks, recorded.attributions.size
    [content] = store.get_ranges(key, [(index.offset, index.size)])
    index.check(key, content)
    try:
        members = _INDEX.validate_json(content)
        for name, member in members.items():
            dtype = np.dtype(member.dtype)
            if dtype.kind not in "fiuU" or not all(length >= 0 for length in member.shape):
                raise ValueError(f"{name} of type {dtype} and shape {member.shape}")
            stored = sum(block.size for block in member.blocks)
            if math.prod(member.shape) * dtype.itemsize > MAX_INFLATION * stored or stored > size:
                raise ValueError(f"{name} of shape {member.shape} in {stored} bytes")
            blocks = member.shape[-1] if name in BLOCK_ENTRIES else 1
            if len(member.blocks) != blocks or (name in BLOCK_ENTRIES and len(member.shape) != 4):
                raise ValueError(f"{name} of shape {member.shape} in {len(member.blocks)} blocks")
        check_axes(
            {name: (each.shape, np.dtype(each.dtype)) for name, each in members.items()},
            recorded.shape,
        )
    except (ValidationError, ValueError, TypeError) as error:
        raise DamagedArtifactError(f"{key!r} has an invalid index: {error}") from error
    return members


def check_axes(
    arrays: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]], shape: Sequence[int]
) -> None:
    """Check shape and type of all arrays against the shape of the values. Raises ValueError."""
    lengths = dict(zip("HWCK", shape, strict=True))
    known = [name for name in REGION_ENTRIES if name in arrays]
    if known and (len(known) < len(REGION_ENTRIES) or len(arrays["region_players"][0]) != 1):
        raise ValueError(f"of {REGION_ENTRIES} only {known} are present, or of other dimensions")
    if known:
        [lengths["R"]] = arrays["region_players"][0]
    if pairs := [name for name in INTERACTION_ENTRIES if name in arrays]:
        if len(pairs) < len(INTERACTION_ENTRIES) or not known:
            raise ValueError(f"of {INTERACTION_ENTRIES} only {pairs} are present, or no regions")
        regions = lengths["R"]
        lengths |= {"P": regions * (regions - 1) // 2, "N": 2}
    for name, (axes, kind) in AXES.items():
        if name not in arrays:
            if name in OPTIONAL_ENTRIES:
                continue
            raise ValueError(f"{name} is missing")
        found, dtype = arrays[name]
        right = [tuple(lengths.get(axis, -1) for axis in each) for each in axes.split("|")]
        if found not in right or not np.issubdtype(dtype, kind):
            raise ValueError(f"{name} of type {dtype} and shape {found}; expected {right}")


def _groups(
    tasks: Sequence[tuple[ArtifactSection, NDArray[Any]]],
) -> Iterator[list[tuple[ArtifactSection, NDArray[Any]]]]:
    """Group the blocks to read by one call: at most READ_AT_ONCE bytes, or one larger block."""
    group: list[tuple[ArtifactSection, NDArray[Any]]] = []
    for task in tasks:
        if group and sum(block.size for block, _ in chain(group, [task])) > READ_AT_ONCE:
            yield group
            group = []
        group.append(task)
    if group:
        yield group


def _inflate(key: str, content: bytes, place: NDArray[Any]) -> NDArray[Any]:
    """Inflate a block to the shape and type of its destination."""
    try:
        raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, place.nbytes + 1)
    except zlib.error as error:
        raise DamagedArtifactError(
            f"{key!r} has a block that cannot be inflated: {error}"
        ) from error
    if len(raw) != place.nbytes:
        raise DamagedArtifactError(
            f"{key!r} has a block of {len(raw)} bytes; expected {place.nbytes}"
        )
    return np.frombuffer(raw, place.dtype).reshape(place.shape)
