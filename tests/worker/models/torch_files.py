"""Writes files as torch.save did before torch 1.6, without torch; good ones and forged ones."""

import io
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from worker.models.torch_file import MAGIC, VERSION, Pinned

SYSTEM = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"long": 4}}
KINDS = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}


@dataclass(frozen=True)
class Name:
    """A global of a module, as a pickle refers to it."""

    module: str
    name: str


@dataclass(frozen=True)
class Storage:
    """The reference to a tensor's numbers."""

    kind: str
    key: str
    count: Any
    location: str = "cpu"
    view: Any = None


@dataclass(frozen=True)
class Call:
    """A global called with arguments, as REDUCE does."""

    function: Name
    arguments: tuple[Any, ...]


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]  # only Python's own can be taught
    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        kind = Name("torch", value.kind)
        return ("storage", kind, value.key, value.location, value.count, value.view)

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, Name):
            self._write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        elif isinstance(value, Call):
            self.save(value.function)
            self.save(value.arguments)
            self._write(pickle.REDUCE)
        else:
            super().save(value, save_persistent_id)

    def _write(self, opcode: bytes) -> None:
        self.write(opcode)  # type: ignore[attr-defined]


def pickled(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def tensor(storage: Storage, shape: Any, strides: Any, offset: Any = 0) -> Call:
    rebuild = Name("torch._utils", "_rebuild_tensor_v2")
    hooks = Call(Name("collections", "OrderedDict"), ())
    return Call(rebuild, (storage, offset, shape, strides, False, hooks))


def tensor_of(array: np.ndarray, key: str) -> Call:
    """Return a tensor over a whole storage; a transposed array keeps its order in memory."""
    strides = tuple(stride // array.itemsize for stride in array.strides)
    return tensor(Storage(KINDS[array.dtype.name], key, array.size), array.shape, strides)


def raw(array: np.ndarray) -> bytes:
    """Return the count, then the numbers in the order of memory."""
    return struct.pack("<q", array.size) + array.ravel(order="K").tobytes()


def written(arrays: dict[str, np.ndarray]) -> list[bytes]:
    """Return the five pickles and the numbers of a good file."""
    keys = {name: str(1000 + index) for index, name in enumerate(arrays)}
    named = OrderedDict((name, tensor_of(array, keys[name])) for name, array in arrays.items())
    parts = (MAGIC, VERSION, SYSTEM, named, list(keys.values()))
    return [*map(pickled, parts), b"".join(map(raw, arrays.values()))]


def pinned(path: Path, content: bytes) -> Pinned:
    """Writes the file, and pins its digest."""
    path.write_bytes(content)
    return Pinned(len(content), sha256(content).hexdigest())
