"""Reads the arrays, and nothing else, of a file that torch.save wrote before torch 1.6.

The file has five pickles: a magic number, the version, facts about the system, the tensors by name,
and the keys of their storages. Raw numbers follow: for each key an int64 count, and that many
little-endian numbers. A pickle is a program: here it may use four names, and each is bound to
something that only describes arrays. torch is not needed.
"""

import hashlib
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.models.errors import ModelUnavailableError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
STORAGES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
COUNT = np.dtype("<i8")

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Pinned:
    """The size and digest of the one accepted file; any other is refused before it is parsed."""

    size: int  # bytes
    sha256: str


def read_tensors(path: Path, pinned: Pinned) -> Arrays:
    """Return the arrays by name, in the shapes they were saved in. Raises ModelUnavailableError."""
    with path.open("rb") as file:
        content = file.read(pinned.size + 1)
    if len(content) != pinned.size:
        more = "more than " if len(content) > pinned.size else ""
        found = min(len(content), pinned.size)
        raise ModelUnavailableError(f"{path.name} has {more}{found} bytes; expected {pinned.size}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != pinned.sha256:
        raise ModelUnavailableError(
            f"{path.name} has the sha256 {digest}; expected {pinned.sha256}"
        )
    try:
        return _arrays(BytesIO(content))
    except (pickle.UnpicklingError, EOFError) as error:
        raise ModelUnavailableError(f"{path.name} is not a file of tensors: {error}") from error


@dataclass(frozen=True)
class _Storage:
    """A storage: numbers that follow later in the file."""

    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A whole storage as an array; the storage may hold its axes in another order."""

    storage: _Storage
    shape: tuple[int, ...]
    order: tuple[int, ...]  # its axes, in the order of the storage

    def of(self, numbers: NDArray[Any]) -> NDArray[Any]:
        stored = numbers.reshape([self.shape[axis] for axis in self.order])
        return stored.transpose(np.argsort(self.order))


def _arrays(file: BytesIO) -> Arrays:
    for expected, what in ((MAGIC, "magic number"), (VERSION, "version")):
        found = _load(file)
        if found != expected:
            raise ModelUnavailableError(f"its {what} is {found!r}; expected {expected}")
    system = _load(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ModelUnavailableError("it was not written on a little-endian machine")
    tensors, keys = _load(file), _load(file)
    if not isinstance(tensors, OrderedDict) or not isinstance(keys, list):
        raise ModelUnavailableError("it holds no named tensors")
    named = {name: each for name, each in tensors.items() if isinstance(each, _Tensor)}
    if len(named) != len(tensors) or not all(isinstance(name, str) for name in named):
        raise ModelUnavailableError("it holds values other than named tensors")
    storages = {each.storage.key: each.storage for each in named.values()}
    ours = all(isinstance(key, str) for key in keys) and sorted(keys) == sorted(storages)
    if not ours or len(storages) != len(named):
        raise ModelUnavailableError("its storages and tensors do not match one to one")
    numbers = {key: _numbers(file, storages[key]) for key in keys}
    if file.read(1):
        raise ModelUnavailableError("bytes follow its last storage")
    return {name: each.of(numbers[each.storage.key]) for name, each in named.items()}


def _numbers(file: BytesIO, storage: _Storage) -> NDArray[Any]:
    head = file.read(COUNT.itemsize)
    if len(head) < COUNT.itemsize:
        raise EOFError(f"storage {storage.key} is missing")
    count = int(np.frombuffer(head, COUNT)[0])
    if count != storage.count:
        raise ModelUnavailableError(
            f"storage {storage.key} has {count} numbers; its tensor has {storage.count}"
        )
    raw = file.read(count * storage.dtype.itemsize)
    if len(raw) < count * storage.dtype.itemsize:
        raise EOFError(f"storage {storage.key} is cut short")
    return np.frombuffer(raw, storage.dtype)


def _load(file: BytesIO) -> Any:
    return _TensorUnpickler(file).load()


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles only the names that tensors need; refuses any other name."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                # A new function each time, as a pickle may set attributes on it
                return lambda *words: _rebuilt(*words)
            case "torch", _ if name in STORAGES:
                return name
        raise ModelUnavailableError(f"it names {module}.{name}, which files of tensors do not need")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case "storage", str(kind), str(key), "cpu", int(count), None if count >= 0:
                if dtype := STORAGES.get(kind):
                    return _Storage(key, dtype, count)
        raise ModelUnavailableError(f"it refers to {pid!r}, which is not a storage of numbers")


def _rebuilt(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, hooks: Any
) -> _Tensor:
    """Describe the tensor that torch._utils._rebuild_tensor_v2 would build."""
    whole = isinstance(storage, _Storage) and offset == 0
    if not (whole and _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides)):
        raise ModelUnavailableError("one of its tensors does not cover a whole storage")
    order = sorted(range(len(shape)), key=lambda axis: -strides[axis])
    step = 1
    for axis in reversed(order):
        if shape[axis] != 1 and strides[axis] != step:
            step = -1
            break
        step *= shape[axis]
    if step != storage.count:
        raise ModelUnavailableError(
            f"a tensor of shape {shape} and strides {strides} does not fill its storage of "
            f"{storage.count} numbers"
        )
    return _Tensor(storage, shape, tuple(order))


def _are_counts(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(each) is int and each >= 0 for each in value)
