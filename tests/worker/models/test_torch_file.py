"""Reading torch's old files: arrays are read, and no code of a forged file runs."""

import struct
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from tests.worker.models.torch_files import (
    MAGIC,
    SYSTEM,
    VERSION,
    Call,
    Name,
    Storage,
    pickled,
    pinned,
    raw,
    tensor,
    tensor_of,
    written,
)
from worker.models import torch_file
from worker.models.errors import ModelUnavailableError
from worker.models.torch_file import Pinned, read_tensors

DRAW = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "kernel": DRAW.normal(size=(2, 3, 4, 5)).astype(np.float32),
    "permuted": DRAW.normal(size=(3, 4, 2, 1)).astype(np.float32).transpose(3, 2, 0, 1),
    "count": np.array(7, np.int64),
}
A = np.arange(6, dtype=np.float32)
WHOLE = Storage("FloatStorage", "1", 6)


@pytest.fixture
def read(tmp_path):
    """Reads a file as if its digest were the pinned one."""

    def read_content(content):
        path = tmp_path / "weights.pth"
        known = pinned(path, content)
        return read_tensors(path, known)

    return read_content


def test_arrays_are_read_as_saved(read):
    found = read(b"".join(written(ARRAYS)))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_file_with_another_digest_is_refused_before_it_is_parsed(tmp_path):
    path, ran = tmp_path / "weights.pth", tmp_path / "ran"
    bomb = pickled(Call(Name("posix", "system"), (f"touch {ran}",)))
    known = pinned(path, bomb)
    path.write_bytes(bomb[:-1] + b"!")
    with pytest.raises(ModelUnavailableError, match=f"has the sha256 .*; expected {known.sha256}"):
        read_tensors(path, known)
    for size, has in ((len(bomb) + 1, f"has {len(bomb)} bytes"), (9, "has more than 9 bytes")):
        with pytest.raises(ModelUnavailableError, match=f"{has}; expected {size}"):
            read_tensors(path, Pinned(size, known.sha256))
    assert not ran.exists()


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "name",
    [
        ("posix", "system"),
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("collections", "namedtuple"),
        ("collections", "OrderedDict.fromkeys"),
        ("torch", "load"),
        ("torch", "HalfStorage"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch.serialization", "_load"),
        ("worker.models.torch_file", "read_tensors"),
    ],
    ids=".".join,
)
def test_an_unexpected_global_ends_the_reading(read, tmp_path, name, place):
    ran = tmp_path / "ran"
    parts = written(ARRAYS)
    parts[place] = pickled(Call(Name(*name), (f"touch {ran}",)))
    with pytest.raises(
        ModelUnavailableError, match=r"it names .*, which files of tensors do not need"
    ):
        read(b"".join(parts))
    assert not ran.exists()


def test_a_forged_file_does_not_change_the_reader(read):
    """BUILD sets attributes of an object in a pickle."""
    rebuild = pickled(Name("torch._utils", "_rebuild_tensor_v2"))[:-1]
    state = pickled((None, {"__defaults__": (1,), "forged": 1}))[2:-1]
    parts = written(ARRAYS)
    parts[3] = rebuild + state + b"b."
    with pytest.raises(ModelUnavailableError, match="it holds no named tensors"):
        read(b"".join(parts))
    assert torch_file._rebuilt.__defaults__ is None
    assert not hasattr(torch_file._rebuilt, "forged")


def test_a_file_cut_anywhere_is_refused(read):
    content = b"".join(written(ARRAYS))
    for length in range(len(content)):
        with pytest.raises(ModelUnavailableError):
            read(content[:length])


def file_of(named, keys, numbers):
    return b"".join([*map(pickled, (MAGIC, VERSION, SYSTEM, named, keys)), numbers])


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (tensor(WHOLE, (7,), (1,)), "does not fill its storage of 6 numbers"),
        (tensor(WHOLE, (2, 2), (2, 1)), "does not fill its storage"),
        (tensor(WHOLE, (2, 3), (1, 1)), "does not fill its storage"),
        (tensor(WHOLE, (2, 3), (4, 1)), "does not fill its storage"),
        (tensor(WHOLE, (2, 3), (0, 0)), "does not fill its storage"),
        (tensor(WHOLE, (2**40, 2**40), (2**40, 1)), "does not fill its storage"),
        (tensor(WHOLE, (5,), (1,), offset=1), "does not cover a whole storage"),
        (tensor(WHOLE, (-6,), (1,)), "does not cover a whole storage"),
        (tensor(WHOLE, (2, 3), (1,)), "does not cover a whole storage"),
        (tensor(WHOLE, [6], [1]), "does not cover a whole storage"),
        (tensor(WHOLE, (6.0,), (1,)), "does not cover a whole storage"),
        (tensor("storage", (6,), (1,)), "does not cover a whole storage"),  # type: ignore[arg-type]
        (tensor(Storage("FloatStorage", "1", -6), (6,), (1,)), "which is not a storage of numbers"),
        (
            tensor(Storage("FloatStorage", "1", "6"), (6,), (1,)),
            "which is not a storage of numbers",
        ),
        (tensor(Storage("FloatStorage", "1", 6, "cuda:0"), (6,), (1,)), "which is not a storage"),
        (tensor(Storage("FloatStorage", "1", 6, view="x"), (6,), (1,)), "which is not a storage"),
        ("no tensor", "values other than named tensors"),
    ],
)
def test_a_tensor_over_part_of_its_storage_is_refused(read, made, reason):
    with pytest.raises(ModelUnavailableError, match=reason):
        read(file_of(OrderedDict(a=made), ["1"], raw(A)))


def test_tensors_that_share_a_storage_are_refused(read):
    named = OrderedDict(a=tensor_of(A, "1"), b=tensor_of(A[:5], "1"))
    for keys in (["1"], ["1", "1"]):
        with pytest.raises(ModelUnavailableError, match="its storages and tensors do not match"):
            read(file_of(named, keys, len(keys) * raw(A)))


@pytest.mark.parametrize(
    ("keys", "numbers", "reason"),
    [
        ([1, "1"], raw(A), "its storages and tensors do not match"),
        (["1"], raw(A[:5]), "storage 1 has 5 numbers; its tensor has 6"),
        (["1"], struct.pack("<q", 2**62) + A.tobytes(), "its tensor has 6"),
        (["1"], struct.pack("<q", -6) + A.tobytes(), "its tensor has 6"),
        (["1"], raw(A)[:-1], "storage 1 is cut short"),
        (["1"], b"", "storage 1 is missing"),
        (["1"], raw(A) + b"!", "bytes follow its last storage"),
        (["2"], raw(A), "its storages and tensors do not match"),
        (["1", "1"], 2 * raw(A), "its storages and tensors do not match"),
        ([], b"", "its storages and tensors do not match"),
        ([1], raw(A), "its storages and tensors do not match"),
        ("1", raw(A), "it holds no named tensors"),
    ],
)
def test_numbers_that_do_not_match_the_tensors_are_refused(read, keys, numbers, reason):
    with pytest.raises(ModelUnavailableError, match=reason):
        read(file_of(OrderedDict(a=tensor_of(A, "1")), keys, numbers))


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (0, MAGIC + 1, "its magic number is"),
        (1, 1002, "its version is 1002; expected 1001"),
        (2, {**SYSTEM, "little_endian": False}, "not written on a little-endian machine"),
        (2, [], "not written on a little-endian machine"),
        (3, {"a": 1}, "it holds no named tensors"),
        (3, OrderedDict({1: tensor_of(A, "1")}), "values other than named tensors"),
    ],
)
def test_a_file_of_another_layout_is_refused(read, place, value, reason):
    parts = written({"a": A})
    parts[place] = pickled(value)
    with pytest.raises(ModelUnavailableError, match=reason):
        read(b"".join(parts))
