"""The keys file: one key a line in JSON, and of each key only its hash."""

import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from service.api.auth.keys import Key
from service.infra.file_lock import locked

Change = Callable[[Sequence[Key]], Sequence[Key]]


class KeysError(Exception):
    """The file cannot be read or written, others may write it, or a line of it is no key."""


def read_keys(path: Path) -> tuple[Key, ...]:
    """All keys of the file. Raises KeysError, which never repeats what a line holds."""
    try:
        with path.open(encoding="utf-8") as file:
            _check_mode(path, os.fstat(file.fileno()).st_mode)  # of the very file that is read
            _check_folders(path)
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise KeysError(f"the keys file {path} cannot be read: {reason}") from error
    return tuple(_parse(line, f"{path}, line {n}") for n, line in enumerate(lines, 1) if line)


def change_keys(path: Path, change: Change) -> None:
    """Write the file anew, whole or not at all; a server that reads it follows. Raises KeysError.

    Only its owner may read it. Of changes at once, each sees the one before.
    """
    path = path.resolve()  # a link stays a link
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_folders(path)
        with locked(path.parent):
            _replace(path, change(read_keys(path) if path.exists() else ()))
    except OSError as error:
        raise KeysError(f"the keys file {path} cannot be written: {error.strerror}") from error


def _check_mode(path: Path, mode: int) -> None:
    """Whoever writes the file lets themselves in. Raises KeysError."""
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KeysError(
            f"group or others may write the keys file {path}; its mode is {mode & 0o7777:04o}. "
            f"See that all keys in it are yours, then: chmod go-w {path}"
        )


def _check_folders(path: Path) -> None:
    """Whoever writes a folder can put another file in place of this one. Raises KeysError, OSError.

    A sticky folder, such as /tmp, protects what others own. A group may write: many systems give
    each user a group of their own, and folders to it.
    """
    for folder in {path.absolute().parent, path.resolve().parent}:  # of a link, and of its target
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise KeysError(
                f"everybody may replace the keys file {path}: the mode of its folder {folder} is "
                f"{mode & 0o7777:04o}. See that all keys in it are yours, then: "
                f"chmod o-w {folder}"
            )


def _parse(line: str, where: str) -> Key:
    try:
        return Key.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or "the line"
        raise KeysError(f"{where} is no key: {field}: {first['type'].replace('_', ' ')}") from None


def _replace(path: Path, keys: Sequence[Key]) -> None:
    """Under another name first, mode 0600; the owner stays, as root may change another's file."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.writelines(f"{key.model_dump_json()}\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
        if path.exists():
            os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)
    Path(file.name).replace(path)
