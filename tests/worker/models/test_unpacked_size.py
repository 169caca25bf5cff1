"""Files that would unpack to gigabytes are refused by their declared size, in little memory."""

import json
import re
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from tests.worker.models.tiny_models import dense
from worker.models.errors import ModelUnavailableError
from worker.models.unpacked_size import EXPANSION, MIN_LIMIT, SizeLimit

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
MIB = 2**20
ALLOWED = 200 * MIB  # growth since before the file was opened, for Keras itself

CHILD = """
import resource, sys
from worker.models.registry import read_registry
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
folder = sys.argv[1]
registry = read_registry(__import__("pathlib").Path(folder, "models.toml"), weights_cache=None)
registry.load("good")
before = peak()
registry.load("bomb")
cards = {card.name: card for card in registry.cards()}
assert cards["good"].reason is None, cards["good"].reason
print(peak() - before)
print(cards["bomb"].reason)
"""


def opened_in_a_process(folder, source):
    """Open a file in a process; return its peak of memory, and why it is not served."""
    dense((8, 8, 3)).save(folder / "good.keras")
    (folder / "models.toml").write_text(
        f'[models.good]\nfile = "good.keras"\n[models.bomb]\n{source}\n'
    )
    command = [sys.executable, "-c", CHILD, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    grown, reason = done.stdout.splitlines()[-2:]
    return int(grown), reason


def deflate(path, member, size):
    """Replace a member of an archive by `size` zeros, or append them to the weights."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(content)
                if name == member:
                    for _ in range(size // MIB):
                        file.write(bytes(MIB))


@pytest.mark.parametrize("member", ["model.weights.h5", "config.json"])
def test_an_archive_of_zeros_is_refused_before_it_is_unpacked(tmp_path, member):
    dense((8, 8, 3)).save(path := tmp_path / "bomb.keras")
    deflate(path, member, 1024 * MIB)
    assert path.stat().st_size < 2 * MIB
    grown, reason = opened_in_a_process(tmp_path, 'file = "bomb.keras"')
    assert "1024 MiB" in reason
    assert grown < ALLOWED


def bias(file, **declared):
    """Replace the bias of the last layer by one that declares much and holds nothing."""
    [name] = [name for name in names_in(file) if name.endswith("bias")]
    del file[name]
    file.create_dataset(name, dtype=np.float32, compression="gzip", **declared)


def names_in(file):
    names = []
    file.visit(names.append)
    return names


def test_weights_of_zeros_in_hdf5_are_refused_before_they_are_unpacked(tmp_path):
    dense((8, 8, 3)).save(tmp_path / "bomb.h5")
    with h5py.File(tmp_path / "bomb.h5", "r+") as file:
        bias(file, shape=(2**29,), chunks=(2**18,))
    grown, reason = opened_in_a_process(tmp_path, 'file = "bomb.h5"')
    assert reason.startswith("its weights are 2048 MiB unpacked; at most 64 MiB, for a file of 0.")
    assert grown < ALLOWED


def test_a_chunk_that_is_larger_than_its_dataset_counts(tmp_path, serve):
    dense((8, 8, 3)).save(tmp_path / "bomb.h5")
    with h5py.File(tmp_path / "bomb.h5", "r+") as file:
        bias(file, shape=(2,), maxshape=(None,), chunks=(2**29,))
    [card] = serve('[models.a]\nfile = "bomb.h5"').cards()
    assert card.reason.startswith("its weights are 2048 MiB unpacked")


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_layers_larger_than_the_file_are_refused_before_they_are_built(tmp_path, kind):
    def change(config):
        config["config"]["layers"][-1]["config"]["units"] = 4_000_000

    dense((8, 8, 3)).save(path := tmp_path / f"bomb.{kind}")
    if kind == "h5":
        with h5py.File(path, "r+") as file:
            change(config := json.loads(file.attrs["model_config"]))
            file.attrs["model_config"] = json.dumps(config)
    else:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        change(config := json.loads(members["config.json"]))
        members["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    grown, reason = opened_in_a_process(tmp_path, f'file = "bomb.{kind}"')
    assert reason.startswith("its layers need weights of 2945 MiB unpacked; at most 64 MiB")
    assert grown < ALLOWED


def mobilenet():
    keras.utils.set_random_seed(1)
    return keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3))


APPLICATION = 'application = "MobileNet"\ninput_shape = [32, 32, 3]\nweights = "{}"'


def test_weights_of_an_application_are_refused_before_they_are_unpacked(tmp_path):
    """Some 16 MB of real weights, so that 325 MiB are allowed, and a bias of zeros."""
    mobilenet().save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        bias(file, shape=(2**29,), chunks=(2**18,))
    grown, reason = opened_in_a_process(tmp_path, APPLICATION.format("a.h5"))
    assert re.match(r"its weights are 20\d\d MiB unpacked; at most 3\d\d MiB, for a file", reason)
    assert grown < ALLOWED


def test_an_archive_with_weights_of_an_application_is_refused_before_it_is_unpacked(tmp_path):
    mobilenet().save(tmp_path / "a.keras")
    deflate(tmp_path / "a.keras", "model.weights.h5", 1024 * MIB)
    grown, reason = opened_in_a_process(tmp_path, APPLICATION.format("a.keras"))
    assert re.match(r"its members are 10\d\d MiB unpacked; at most 3\d\d MiB, for a file", reason)
    assert grown < ALLOWED


def test_an_application_that_is_too_large_is_refused_before_it_is_built(tmp_path):
    """A dense layer of VGG16 on 2000 x 2000 pixels has more weights than all of ImageNet's."""
    wanted = 'application = "VGG16"\ninput_shape = [2000, 2000, 3]\nweights = "none"'
    grown, reason = opened_in_a_process(tmp_path, wanted)
    assert re.match(r"its layers need weights of \d+ MiB .* 4096 MiB, its max_b", reason)
    assert grown < ALLOWED


@pytest.mark.parametrize("name", ["a.h5", "a.weights.h5", "a.keras"])
def test_weights_of_an_application_are_read_from_its_file(tmp_path, serve, name):
    (mobilenet().save_weights if "weights" in name else mobilenet().save)(tmp_path / name)
    served = serve("[models.a]\n" + APPLICATION.format(name)).get("a")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    expected = mobilenet()(pictures / 127.5 - 1).numpy()
    np.testing.assert_allclose(served.predictor(pictures), expected, rtol=1e-4)


def test_a_member_with_another_compression_is_refused(tmp_path, serve):
    """A few bytes of LZMA may unpack to megabytes at once, so it cannot be done in small steps."""
    dense((8, 8, 3)).save(path := tmp_path / "a.keras")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    [card] = serve('[models.a]\nfile = "a.keras"').cards()
    assert "is compressed by method 14; stored and deflated members are accepted" in card.reason


def test_a_deflated_archive_is_read(tmp_path, serve):
    dense((8, 8, 3)).save(path := tmp_path / "a.keras")
    deflate(path, "no member", 0)
    assert serve('[models.a]\nfile = "a.keras"').get("a").predictor.n_outputs == 2


def test_the_models_file_may_set_the_limit(tmp_path, serve):
    keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2000)]).save(
        tmp_path / "a.keras"
    )
    tables = '[models.a]\nfile = "a.keras"\nmax_bytes = {}'
    assert serve(tables.format(2 * MIB)).cards()[0].reason is None
    assert (
        serve(tables.format(1 * MIB))
        .cards()[0]
        .reason.endswith("at most 1 MiB, its max_bytes, are accepted")
    )


def test_a_saved_model_is_bounded_too(tmp_path, serve):
    keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2000)]).export(
        tmp_path / "exported", verbose=False
    )
    tables = '[models.a]\nsaved_model = "exported"\nmax_bytes = {}'
    assert serve(tables.format(8 * MIB)).cards()[0].reason is None
    assert "at most 1 MiB, its max_bytes" in serve(tables.format(1 * MIB)).cards()[0].reason


def test_the_limit_grows_with_the_file_up_to_its_maximum():
    assert SizeLimit.of(1000, 2**32).bytes == MIN_LIMIT
    assert SizeLimit.of(100 * MIB, 2**32).bytes == EXPANSION * 100 * MIB
    assert SizeLimit.of(1000 * MIB, 2**32).bytes == 2**32
    SizeLimit.of(1000, 2**32).check(MIN_LIMIT, "it is")
    with pytest.raises(ModelUnavailableError):
        SizeLimit.of(1000, 2**32).check(MIN_LIMIT + 1, "it is")
