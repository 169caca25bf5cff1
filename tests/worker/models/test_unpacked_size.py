"""Files that would unpack to gigabytes are refused by their declared size, in little memory."""

import json
import re
import subprocess
import sys
import zipfile
from functools import cache, partial

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
import re, sys
from pathlib import Path
from worker.models.registry import read_registry

def peak_after_reset(action):
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    action()
    return peak() - before

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

registry = read_registry(Path(sys.argv[1]), weights_cache=None)
registry.load("good")
assert registry.get("good").card.reason is None
names = [name for name in registry.names if name != "good"]
grown = [peak_after_reset(lambda: registry.load(name)) for name in names]
reasons = {card.name: card.reason for card in registry.cards()}
for name, bytes_ in zip(names, grown):
    print(name, bytes_, reasons[name])
"""


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


def zeros(folder, member):
    dense((8, 8, 3)).save(path := folder / "bomb.keras")
    deflate(path, member, 1024 * MIB)
    assert path.stat().st_size < 2 * MIB
    return 'file = "{}/bomb.keras"'


def bias(file, **declared):
    """Replace the bias of the last layer by one that declares much and holds nothing."""
    [name] = [name for name in names_in(file) if name.endswith("bias")]
    del file[name]
    file.create_dataset(name, dtype=np.float32, compression="gzip", **declared)


def names_in(file):
    names = []
    file.visit(names.append)
    return names


def zeros_in_hdf5(folder):
    dense((8, 8, 3)).save(folder / "bomb.h5")
    with h5py.File(folder / "bomb.h5", "r+") as file:
        bias(file, shape=(2**29,), chunks=(2**18,))
    return 'file = "{}/bomb.h5"'


def test_a_chunk_that_is_larger_than_its_dataset_counts(tmp_path, serve):
    dense((8, 8, 3)).save(tmp_path / "bomb.h5")
    with h5py.File(tmp_path / "bomb.h5", "r+") as file:
        bias(file, shape=(2,), maxshape=(None,), chunks=(2**29,))
    [card] = serve('[models.a]\nfile = "bomb.h5"').cards()
    assert card.reason.startswith("its weights are 2048 MiB unpacked")


def wide_layer(folder, kind):
    def change(config):
        config["config"]["layers"][-1]["config"]["units"] = 4_000_000

    dense((8, 8, 3)).save(path := folder / f"bomb.{kind}")
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
    return f'file = "{{}}/bomb.{kind}"'


@cache
def mobilenet():
    keras.utils.set_random_seed(1)
    return keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3))


APPLICATION = 'application = "MobileNet"\ninput_shape = [32, 32, 3]\nweights = "{}"'


def zeros_of_an_application(folder):
    """Some 16 MB of real weights, so that 325 MiB are allowed, and a bias of zeros."""
    mobilenet().save(folder / "a.h5")
    with h5py.File(folder / "a.h5", "r+") as file:
        bias(file, shape=(2**29,), chunks=(2**18,))
    return APPLICATION.format("{}/a.h5")


def archive_of_an_application(folder):
    mobilenet().save(folder / "a.keras")
    deflate(folder / "a.keras", "model.weights.h5", 1024 * MIB)
    return APPLICATION.format("{}/a.keras")


def large_application(folder):
    """A dense layer of VGG16 on 2000 x 2000 pixels has more weights than all of ImageNet's."""
    return 'application = "VGG16"\ninput_shape = [2000, 2000, 3]\nweights = "none"'


WIDE_LAYER = r"its layers need weights of 2945 MiB unpacked; at most 64 MiB"
BOMBS = {  # what writes it and returns its source, and the reason why it is not served
    "zeros_for_weights": (partial(zeros, member="model.weights.h5"), ".*1024 MiB"),
    "zeros_for_a_config": (partial(zeros, member="config.json"), ".*1024 MiB"),
    "zeros_in_hdf5": (
        zeros_in_hdf5,
        r"its weights are 2048 MiB unpacked; at most 64 MiB, for a file of 0\.",
    ),
    "wide_layer_in_keras": (partial(wide_layer, kind="keras"), WIDE_LAYER),
    "wide_layer_in_h5": (partial(wide_layer, kind="h5"), WIDE_LAYER),
    "zeros_of_an_application": (
        zeros_of_an_application,
        r"its weights are 20\d\d MiB unpacked; at most 3\d\d MiB, for a file",
    ),
    "archive_of_an_application": (
        archive_of_an_application,
        r"its members are 10\d\d MiB unpacked; at most 3\d\d MiB, for a file",
    ),
    "large_application": (
        large_application,
        r"its layers need weights of \d+ MiB .* 4096 MiB, its max_b",
    ),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Bytes that opening each bomb took at most, and the reason why it is not served."""
    folder = tmp_path_factory.mktemp("bombs")
    dense((8, 8, 3)).save(folder / "good.keras")
    tables = ['[models.good]\nfile = "good.keras"']
    for name, (write, _) in BOMBS.items():
        (folder / name).mkdir()
        tables.append(f"[models.{name}]\n{write(folder / name).format(name)}")
    (folder / "models.toml").write_text("\n".join(tables))
    command = [sys.executable, "-c", CHILD, folder / "models.toml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()[-len(BOMBS) :]]
    return {name: (int(grown), reason) for name, grown, reason in lines}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_unpacked_or_made(opened, name):
    grown, reason = opened[name]
    assert re.match(BOMBS[name][1], reason)
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
