"""The file of arrays: any npz reader reads it whole, ours reads each output alone."""

import io
import json

import numpy as np
import pytest

from service.infra.artifact_store import (
    CHUNK,
    DamagedArtifactError,
    MissingArtifactError,
    open_store,
)
from service.infra.artifacts import (
    Artifact,
    ArtifactSection,
    AttemptArtifacts,
    read_in_chunks,
    read_whole,
)
from service.infra.result_arrays import load_arrays, pack_arrays

K = 20  # more than are copied at once
KEY = "explanations/exp_1/attempt/attributions.npz"
BY_OUTPUT = ("values", "standard_errors", "base_values", "output_names", "output_indices")


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return {
        "values": random.normal(size=(5, 7, 3, K)),
        "standard_errors": random.uniform(size=(5, 7, 3, K)).astype(np.float32),
        "base_values": random.normal(size=K),
        "data": random.uniform(0, 255, (5, 7, 3)).astype(np.float32),
        "output_names": np.array([f"name {k}" for k in range(K)]),
        "output_indices": np.arange(K) * 10,
        "players": np.arange(35, dtype=np.int32).reshape(5, 7),
    }


class Stored:
    """A file of arrays in a store, which tests read or damage."""

    def __init__(self, store, arrays):
        self.store = store
        self.content, self.index = pack_arrays(arrays)
        self.shape = arrays["values"].shape
        self.told = [(10 * k, f"name {k}") for k in range(K)]
        store.put(KEY, self.content)

    def load(self, outputs=None, **options):
        recorded = AttemptArtifacts(
            shape=self.shape, attributions=Artifact.of(self.content), blocks=self.index
        )
        return load_arrays(self.store, KEY, recorded, self.told, outputs, **options)

    def block(self, name, position):
        """Return the slice of bytes of a block."""
        index = self.content[self.index.offset :][: self.index.size]
        block = json.loads(index)[name]["blocks"][position]
        return slice(block["offset"], block["offset"] + block["size"])

    def flip(self, place):
        """Flip a bit in the store's file."""
        content = bytearray(self.content)
        content[place] ^= 1
        self.store.put(KEY, bytes(content))


@pytest.fixture(params=["folder", "memory"])
def stored(request, store_url, arrays):
    return Stored(open_store(store_url if request.param == "folder" else "memory:"), arrays)


def test_any_npz_reader_reads_the_whole_file(stored, arrays):
    with np.load(io.BytesIO(stored.content), allow_pickle=False) as archive:
        read = dict(archive)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        dtype = np.float32 if name in ("values", "standard_errors") else array.dtype
        assert (read[name].dtype, read[name].shape) == (dtype, array.shape)
        np.testing.assert_array_equal(read[name], array.astype(dtype))


def test_all_outputs_are_read_as_they_were_written(stored):
    read = dict(np.load(io.BytesIO(stored.content)))
    loaded = stored.load()
    assert list(loaded) == list(read)
    for name, array in read.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


@pytest.mark.parametrize("outputs", [[0], [19], [3, 1, 17]])
def test_some_outputs_are_read_in_the_requested_order(stored, arrays, outputs):
    loaded = stored.load(outputs)
    for name, array in arrays.items():
        wanted = array[..., outputs] if name in BY_OUTPUT else array
        np.testing.assert_array_equal(loaded[name], wanted.astype(loaded[name].dtype))


def test_only_the_arrays_named_are_read(stored):
    assert list(stored.load([1], names=("data", "values"))) == ["values", "data"]


def test_an_output_is_read_alone_and_damage_to_it_is_found(stored, arrays):
    stored.flip(stored.block("values", 7).start + 20)
    for outputs in ([6], [8, 0]):
        found = stored.load(outputs)["values"]
        np.testing.assert_array_equal(found, arrays["values"][..., outputs].astype(np.float32))
    for outputs in ([7], [0, 7], None):
        with pytest.raises(DamagedArtifactError, match=r"attributions\.npz"):
            stored.load(outputs)


def test_damage_to_the_index_is_found(stored):
    stored.flip(stored.index.offset)
    with pytest.raises(DamagedArtifactError, match="recorded sha256"):
        stored.load([0])


@pytest.mark.parametrize("share", [0, 0.5, 0.8])
def test_a_file_that_ends_too_soon_is_damaged(stored, share):
    stored.store.put(KEY, stored.content[: int(len(stored.content) * share)])
    with pytest.raises(DamagedArtifactError, match="expected"):
        stored.load([0])


def test_an_absent_file_is_missing_and_not_damaged(stored):
    stored.store.delete_explanation("exp_1")
    with pytest.raises(MissingArtifactError) as missing:
        stored.load([0])
    assert not isinstance(missing.value, DamagedArtifactError)


def test_an_output_that_the_file_lacks_is_damage(stored):
    with pytest.raises(DamagedArtifactError, match="20 outputs"):
        stored.load([20])
    stored.told.append((200, "name 20"))
    with pytest.raises(DamagedArtifactError, match="20 outputs; expected 21"):
        stored.load([0])


def test_outputs_that_differ_from_the_record_are_damage(stored):
    for wrong in ((7, "name 19"), (190, "name 7")):
        stored.told[19] = wrong
        with pytest.raises(DamagedArtifactError, match="than its record"):
            stored.load([0])


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [50_000, 50_000, 3, K]},
        {"shape": [5, 7, 3]},
        {"shape": [-5, -7, 3, K]},
        {"dtype": "|O"},
        {"dtype": "no type"},
        {"blocks": []},
        {"blocks": [{"offset": -1, "size": 10**30, "sha256": ""}]},
    ],
)
def test_an_impossible_index_is_damage(stored, change):
    index = json.loads(stored.content[stored.index.offset :][: stored.index.size])
    forged = json.dumps(index | {"values": index["values"] | change}).encode()
    stored.store.put(KEY, stored.content + forged)
    stored.index = ArtifactSection.at(len(stored.content), forged)
    with pytest.raises(DamagedArtifactError, match="invalid index"):
        stored.load([0])


def test_the_same_arrays_are_the_same_bytes(arrays):
    assert pack_arrays(arrays) == pack_arrays(arrays)


def test_no_part_of_a_damaged_file_is_returned(store):
    content = np.random.default_rng(0).bytes(3 * CHUNK + 5)
    recorded = Artifact.of(content)
    store.put(KEY, content)
    assert b"".join(read_in_chunks(store, KEY, recorded)) == content
    assert read_whole(store, KEY, recorded) == content
    for damaged in (content[:-1], content[:-1] + b"x", b"", content + b"x"):
        store.put(KEY, damaged)
        with pytest.raises(DamagedArtifactError):
            next(read_in_chunks(store, KEY, recorded))
        with pytest.raises(DamagedArtifactError):
            read_whole(store, KEY, recorded)


def test_a_file_that_changes_during_the_response_is_never_sent_completely(store, tmp_path):
    content = np.random.default_rng(0).bytes(3 * CHUNK)
    store.put(KEY, content)
    chunks = read_in_chunks(store, KEY, Artifact.of(content))
    received = len(next(chunks))
    with (tmp_path / "store" / KEY).open("r+b") as file:
        file.seek(-1, io.SEEK_END)
        file.write(bytes([content[-1] ^ 1]))
    with pytest.raises(DamagedArtifactError):
        received += sum(map(len, chunks))
    assert received < len(content)


def test_a_record_with_another_shape_is_damage(stored):
    stored.shape = (1, *stored.shape[1:])
    with pytest.raises(DamagedArtifactError, match="values"):
        stored.load()
