"""A lock that processes and threads share by the name of a file or folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock until the block is left; the system takes it from a process that dies.

    A file is made where nothing has the name. Threads exclude each other, too, as each opens it
    anew. Raises BlockingIOError where somebody else holds it and `wait` is false, OSError.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_WRONLY | os.O_CREAT
    descriptor = os.open(path, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
