"""Opens networks of keras.applications by name; Keras downloads their weights once."""

import inspect
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.infra.file_lock import locked
from worker.models.errors import ModelUnavailableError
from worker.models.keras_files import checked_variables, checked_weights, load_weights
from worker.models.models_file import ModelEntry
from worker.models.unpacked_size import SizeLimit

SILENCE_S = 30  # a download fails when the server sends nothing for this long


def open_application(
    entry: ModelEntry, weights_cache: Path | None
) -> tuple[Any, Callable[[Any], Any]]:
    """Return the Keras model and its own `preprocess_input`. Raises ModelUnavailableError."""
    import keras  # takes seconds, and reading the models file does not need it

    name, weights = str(entry.application), entry.weights or "imagenet"
    build = _constructors(keras.applications).get(name)
    if build is None:
        known = ", ".join(_constructors(keras.applications))
        raise ModelUnavailableError(f"keras.applications has no {name}; it has {known}")
    if weights == "imagenet":
        with keras_downloads(f"weights of {name}", weights_cache):
            model = build(weights="imagenet", input_shape=entry.input_shape)
    else:
        with ThreadPoolExecutor(1) as alone:  # Keras keeps state in its thread
            model = alone.submit(_build, build, entry).result()
    return model, sys.modules[build.__module__].preprocess_input


def _build(build: Callable[..., Any], entry: ModelEntry) -> Any:
    """Build the network with weights from a file, or random ones. Raises ModelUnavailableError."""
    import keras

    if not isinstance(entry.weights, Path):
        keras.utils.set_random_seed(0)  # the same random weights, and digest, in every worker
        with checked_variables(SizeLimit.up_to(entry.max_bytes)) as check:
            model = build(weights=None, input_shape=entry.input_shape)
            check(model)
        return model
    if not entry.weights.is_file():
        raise ModelUnavailableError(f"{entry.weights} is not a file")
    limit = SizeLimit.of(entry.weights.stat().st_size, entry.max_bytes)
    with checked_weights(entry.weights, limit) as weights:
        with checked_variables(limit) as check:
            model = build(weights=None, input_shape=entry.input_shape)
            check(model)
        load_weights(model, weights)
    return model


@contextmanager
def keras_downloads(what: str, folder: Path | None) -> Iterator[None]:
    """Keep Keras's downloads in `folder` (None: its own), one at a time across processes.

    Raises ModelUnavailableError where the download of `what` fails.
    """
    try:
        from keras.src.backend import config

        home = (folder or Path(config._KERAS_DIR)).expanduser().resolve()
        home.mkdir(parents=True, exist_ok=True)  # Keras uses /tmp where it does not exist
        # The lock comes first, as the other two set and restore state that all threads share
        with locked(home / "download.lock"), _cache_folder(home), _socket_timeout():
            yield
    except Exception as error:  # Keras raises a bare Exception where it cannot fetch
        cause = error.__context__ if "URL fetch failure" in str(error) else error
        if not isinstance(cause, OSError):
            raise
        reason = getattr(cause, "reason", cause)
        raise ModelUnavailableError(f"{what} could not be downloaded: {reason}") from error


@contextmanager
def _cache_folder(home: Path) -> Iterator[None]:
    """Set Keras's home folder; Keras reads KERAS_HOME once, at import, and has no setter."""
    from keras.src.backend import config

    own = config._KERAS_DIR
    config._KERAS_DIR = str(home)
    try:
        yield
    finally:
        config._KERAS_DIR = own


@contextmanager
def _socket_timeout() -> Iterator[None]:
    """Set a default socket timeout: Keras sets none, and a stalled download blocks for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _constructors(applications: Any) -> dict[str, Callable[..., Any]]:
    return dict(inspect.getmembers(applications, inspect.isfunction))
