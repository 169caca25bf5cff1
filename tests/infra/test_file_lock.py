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


def test_another_process_and_another_thread_find_it_held(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as other:
        assert not other.apply(is_held, [str(path)])
        with locked(path):
            assert other.apply(is_held, [str(path)])
            assert is_held(str(path))
        assert not other.apply(is_held, [str(path)])


def test_who_waits_gets_it_next(path: Path) -> None:
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


def test_an_error_of_the_block_goes_through_and_frees_it(path: Path) -> None:
    with pytest.raises(OSError, match="of the block"), locked(path):
        raise OSError("of the block")
    assert not is_held(str(path))
