"""The keys file: one JSON line for each key, with its hash only."""

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
    """The keys file cannot be read or written, others may write it, or a line is invalid."""


def read_keys(path: Path) -> tuple[Key, ...]:
    """Returns all keys of the file. Raises KeysError, which never repeats a line."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode  # of the open file
            if mode & (stat.S_IWGRP | stat.S_IWOTH):  # others could add keys of their own
                raise KeysError(
                    f"the keys file {path} is writable by group or others (mode "
                    f"{mode & 0o7777:04o}). Check that every key in it is yours, then run: "
                    f"chmod go-w {path}"
                )
            _check_folders(path)
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise KeysError(f"the keys file {path} cannot be read: {reason}") from error
    return tuple(_parse(line, f"{path}, line {n}") for n, line in enumerate(lines, 1) if line)


def change_keys(path: Path, change: Change) -> None:
    """Replaces the file atomically; a running server reloads it. Raises KeysError.

    The new file is readable by its owner only. Concurrent changes are applied one after another.
    """
    path = path.resolve()  # a symbolic link is kept
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_folders(path)
        with locked(path.parent):
            _replace(path, change(read_keys(path) if path.exists() else ()))
    except OSError as error:
        raise KeysError(f"the keys file {path} cannot be written: {error.strerror}") from error


def _check_folders(path: Path) -> None:
    """Raises KeysError if others may replace the file in its folder, and OSError.

    A sticky folder, such as /tmp, protects files of other owners. Group write is allowed: many
    systems give each user a group of their own, and folders to it.
    """
    for folder in {path.absolute().parent, path.resolve().parent}:  # of the link, and of its target
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise KeysError(
                f"the keys file {path} can be replaced by anyone: its folder {folder} has mode "
                f"{mode & 0o7777:04o}. Check that every key in it is yours, then run: "
                f"chmod o-w {folder}"
            )


def _parse(line: str, where: str) -> Key:
    try:
        return Key.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or "the line"
        raise KeysError(
            f"{where} is not a valid key: {field}: {first['type'].replace('_', ' ')}"
        ) from None


def _replace(path: Path, keys: Sequence[Key]) -> None:
    """Writes a temporary file of mode 0600 and renames it. Keeps the owner if root writes it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.writelines(f"{key.model_dump_json(exclude_none=True)}\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
        if path.exists():
            os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)
    Path(file.name).replace(path)
