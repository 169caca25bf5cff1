"""Opens files of Keras 2 and 3, `.keras` archives and `.h5`, as models with their weights.

The config is read here, translated where Keras 3 would misread it, and checked for its size. Keras
then builds the model from it in safe mode and loads the weights.
"""

import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from worker.models.error_causes import HOLDS_CODE, summarize
from worker.models.errors import ModelUnavailableError
from worker.models.keras2.config import translate
from worker.models.unpacked_size import SizeLimit, check_archive, check_hdf5, check_weights

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
Config = dict[str, Any]


def open_keras_file(path: Path, *, max_bytes: int) -> Any:
    """Open the Keras model. Raises ModelUnavailableError."""
    if not path.is_file():
        raise ModelUnavailableError(f"{path} is not a file")
    limit = SizeLimit.of(path.stat().st_size, max_bytes)
    read = _open_archive if path.suffix == ".keras" else _open_hdf5
    with ThreadPoolExecutor(1) as alone:  # Keras keeps state in its thread
        return alone.submit(read, path, limit).result()


@contextmanager
def checked_weights(path: Path, limit: SizeLimit) -> Iterator[Path]:
    """Yield an HDF5 file with the weights of a Keras file, checked for their size.

    Raises ModelUnavailableError.
    """
    if path.suffix == ".keras":
        with _archive(path, limit) as archive, _weights_in(archive, limit) as weights:
            yield weights
    else:
        with _hdf5(path) as file:
            check_hdf5(file, limit)
        yield path


@contextmanager
def checked_variables(limit: SizeLimit) -> Iterator[Callable[[Any], None]]:
    """Yield a function that checks the variables of a Keras model before they are allocated.

    The model must be built and checked within the block. The function raises ModelUnavailableError.
    """
    import keras
    from keras.src.saving.serialization_lib import ObjectSharingScope  # as Keras loads archives

    with keras.StatelessScope() as scope, ObjectSharingScope():  # initializes at the scope's end

        def check(model: Any) -> None:
            try:
                check_weights([(each.shape, each.dtype) for each in model.variables], limit)
            except ModelUnavailableError:
                scope.initialize_variables = False
                raise

        yield check


def load_weights(model: Any, weights: Path) -> None:
    """Load the weights of each layer from an HDF5 file.

    Raises ModelUnavailableError, and what Keras raises.
    """
    with warnings.catch_warnings():  # turns warnings into errors: Keras would keep random weights
        warnings.filterwarnings("error", message="Skipping nested container", category=UserWarning)
        try:
            model.load_weights(weights)
        except UserWarning as warning:
            reason = f"the file has no weights for some layers: {summarize(warning)}"
            raise ModelUnavailableError(reason) from warning


def _open_archive(path: Path, limit: SizeLimit) -> Any:
    with _archive(path, limit) as archive:
        if any(
            member.filename.startswith("assets/") and member.file_size
            for member in archive.infolist()
        ):
            raise ModelUnavailableError(
                f"{path} has assets, such as vocabularies of text layers; they are not supported"
            )
        version = str(_json(archive.read(METADATA), METADATA).get("keras_version", ""))
        config = _json(archive.read(CONFIG), CONFIG)
        with _weights_in(archive, limit) as weights:
            return _explained(version, lambda: _load(config, version, weights, limit, modern=True))


@contextmanager
def _archive(path: Path, limit: SizeLimit) -> Iterator[zipfile.ZipFile]:
    if not zipfile.is_zipfile(path):
        raise ModelUnavailableError(
            f"{path} is cut short, or was not saved by Keras: it is not a zip archive"
        )
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, limit)
        missing = {CONFIG, METADATA, WEIGHTS} - set(archive.namelist())
        if missing:
            raise ModelUnavailableError(
                f"{path} was not saved by Keras: it has no {', '.join(sorted(missing))}"
            )
        yield archive


@contextmanager
def _weights_in(archive: zipfile.ZipFile, limit: SizeLimit) -> Iterator[Path]:
    """Yield the weights file of an archive, unpacked and checked for its size."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / WEIGHTS
        with archive.open(WEIGHTS) as packed, weights.open("wb") as file:
            shutil.copyfileobj(packed, file)
        with _hdf5(weights) as file:
            check_hdf5(file, limit)
        yield weights


def _open_hdf5(path: Path, limit: SizeLimit) -> Any:
    with _hdf5(path) as file:
        check_hdf5(file, limit)
        if "model_config" not in file.attrs:
            held = "weights only" if "layer_names" in file.attrs else "no model"
            raise ModelUnavailableError(f"{path} has {held}; save the whole model with model.save")
        version = _text(file.attrs.get("keras_version", b"2"))
        config = _json(_text(file.attrs["model_config"]), "model_config")
    return _explained(version, lambda: _load(config, version, path, limit, modern=False))


def _load(config: Config, version: str, weights: Path, limit: SizeLimit, *, modern: bool) -> Any:
    """Build a model from its config, and load its weights.

    modern: whether the config names each class's module, as archives of Keras 3 do.
    """
    import keras

    keras2 = (_numbers(version) or (3,)) < (3,)
    if keras2 or not modern:
        config = translate(config, keras2=keras2)
    _check_code(config)
    config.pop("compile_config", None)
    with checked_variables(limit) as check:
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        check(model)
    load_weights(model, weights)
    return model


def _check_code(value: Any) -> None:
    """Refuse layers with Python code, and name them; Keras in safe mode does not say which.

    Raises ModelUnavailableError.
    """
    if isinstance(value, dict):
        if value.get("class_name") == "Lambda" and isinstance(value.get("config"), dict):
            function = value["config"].get("function")
            by_name = isinstance(function, str) or (
                isinstance(function, dict) and function.get("class_name") == "function"
            )
            if not by_name:
                raise ModelUnavailableError(
                    f"layer {value['config'].get('name')} (Lambda): {HOLDS_CODE}"
                )
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            _check_code(each)


def _explained(version: str, load: Callable[[], Any]) -> Any:
    """Call `load`; summarize an error in one line with the Keras version that saved the file."""
    import keras

    try:
        return load()
    except ModelUnavailableError:
        raise
    except Exception as error:  # a broken file can raise anything
        newer = _numbers(version) > _numbers(keras.__version__)
        by = f" (saved by Keras {version}, newer than this worker's {keras.__version__})"
        raise ModelUnavailableError(summarize(error) + by * newer) from error


def _hdf5(path: Path) -> h5py.File:
    try:
        return h5py.File(path)
    except OSError as error:
        raise ModelUnavailableError(f"{path.name}: {summarize(error)}") from error


def _json(text: str | bytes, what: str) -> Config:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ModelUnavailableError(f"{what} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ModelUnavailableError(f"{what} is a JSON {type(found).__name__}; an object is needed")
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
