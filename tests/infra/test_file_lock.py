"""Locks named by a file, between threads and between processes."""

import multiprocessing
import threading
from pathlib import Path

import pytest

from service.infra.file_lock import locked


@pytest.fixture(params=["a file", "a folder"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "lock" if request.param == "a file" else tmp_path


def is_held(path: str) -> bool:
    try:
        with locked(Path(path), wait=False):
            return False
    except BlockingIOError:
        return True


def test_a_held_lock_blocks_other_processes_and_threads(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as other:
        assert not other.apply(is_held, [str(path)])
        with locked(path):
            assert other.apply(is_held, [str(path)])
            assert is_held(str(path))
        assert not other.apply(is_held, [str(path)])


def test_a_waiting_process_gets_the_lock_next(path: Path) -> None:
    got = threading.Event()

    def wait() -> None:
        with locked(path):
            got.set()

    with locked(path):
        waiter = threading.Thread(target=wait)
        waiter.start()
        assert not got.wait(0.2)
    waiter.join(timeout=20)
    assert got.is_set()


def test_an_error_in_the_block_propagates_and_frees_the_lock(path: Path) -> None:
    with pytest.raises(OSError, match="of the block"), locked(path):
        raise OSError("of the block")
    assert not is_held(str(path))
