"""Networks of keras.applications by name: their weights, fetched once by Keras."""

import fcntl
import inspect
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker.models.errors import ModelUnavailable
from worker.models.file import ModelEntry

SILENCE_S = 30  # a server silent for so long ends a download


def open_application(
    entry: ModelEntry, weights_cache: Path | None
) -> tuple[Any, Callable[[Any], Any]]:
    """The Keras model and its own `preprocess_input`. Raises ModelUnavailable."""
    import keras  # seconds, and not needed to read the file of models

    name, weights = str(entry.application), entry.weights or "imagenet"
    build = _constructors(keras.applications).get(name)
    if build is None:
        known = ", ".join(_constructors(keras.applications))
        raise ModelUnavailable(f"keras.applications has no {name}; it has {known}")
    if isinstance(weights, Path) and not weights.is_file():
        raise ModelUnavailable(f"{weights} is no file")
    with keras_downloads(f"weights of {name}", weights_cache):
        if weights == "none":
            keras.utils.set_random_seed(0)  # the same random weights, and digest, in every worker
        chosen = None if weights == "none" else str(weights)
        model = build(weights=chosen, input_shape=entry.input_shape)
    return model, sys.modules[build.__module__].preprocess_input


@contextmanager
def keras_downloads(what: str, folder: Path | None) -> Iterator[None]:
    """Let Keras keep downloads in `folder` (None: its own), one at a time over all processes.

    Raises ModelUnavailable where the download of `what` fails.
    """
    try:
        home = _home(folder)
        # The lock comes first: what the others set, and put back, all threads share
        with _locked(home / "download.lock"), _cache_folder(home), _patience():
            yield
    except Exception as error:  # Keras raises a bare Exception where it cannot fetch
        cause = error.__context__ if "URL fetch failure" in str(error) else error
        if not isinstance(cause, OSError):
            raise
        reason = getattr(cause, "reason", cause)
        raise ModelUnavailable(f"{what} could not be fetched: {reason}") from error


def _home(folder: Path | None) -> Path:
    from keras.src.backend import config

    home = (folder or Path(config._KERAS_DIR)).expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)  # Keras turns to /tmp where it does not exist
    return home


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Threads exclude each other too, as each opens the file anew."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _cache_folder(home: Path) -> Iterator[None]:
    """Keras reads KERAS_HOME once, when imported, and has no setter."""
    from keras.src.backend import config

    own = config._KERAS_DIR
    config._KERAS_DIR = str(home)
    try:
        yield
    finally:
        config._KERAS_DIR = own


@contextmanager
def _patience() -> Iterator[None]:
    """Keras sets no timeout: without one a silent network holds the worker for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _constructors(applications: Any) -> dict[str, Callable[..., Any]]:
    return dict(inspect.getmembers(applications, inspect.isfunction))
