"""Logs of child processes survive them, and are limited in size."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.embedded import log_files
from service.embedded.supervisor import Child, Supervisor
from tests.conftest import wait_until


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    found = Supervisor()
    yield found
    found.stop()


def child(folder: Path, script: str) -> Child:
    return Child("api", ["sh", "-c", script], os.environ, folder / "api.log")


def run(supervisor: Supervisor, started: Child) -> str:
    """Runs a child until it ends; returns its whole log."""
    supervisor.start(started)
    wait_until(lambda: not started.alive, seconds=20)
    return started.log.read_text()


def test_a_start_keeps_the_earlier_log(supervisor: Supervisor, tmp_path: Path) -> None:
    run(supervisor, child(tmp_path, "echo the reason of a crash"))
    lines = run(supervisor, child(tmp_path, "echo the next")).splitlines()
    assert lines[1::2] == ["the reason of a crash", "the next"]
    assert all(line.endswith("api starts ====") for line in lines[::2])


def test_the_log_says_how_a_restarted_child_ended(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(child(tmp_path, "echo said; kill -9 $$"))
    log = tmp_path / "api.log"

    def twice() -> bool:
        supervisor.watch()
        return log.read_text().count("\nsaid\n") == 2

    wait_until(twice, seconds=20)
    assert log.read_text().count("api ended by SIGKILL ====\n") >= 1


def test_a_large_log_is_rotated_at_a_start_and_few_are_kept(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "LOG_BYTES", 100)
    monkeypatch.setattr(log_files, "KEPT", 2)
    for number in range(4):
        said = run(supervisor, child(tmp_path, f"echo start {number}; printf '%0100d' 0"))
        assert said.count("starts ====") == 1
    for name, number in (("api.log", 3), ("api.log.1", 2), ("api.log.2", 1)):
        assert f"start {number}\n" in (tmp_path / name).read_text()
    assert len(list(tmp_path.iterdir())) == 3


def test_a_log_is_rotated_while_it_is_written(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "LOG_BYTES", 500)
    monkeypatch.setattr("service.embedded.supervisor.ROTATE_S", 0)
    writer = child(tmp_path, "while :; do echo a line; sleep 0.001; done")
    supervisor.start(writer)

    def rotated() -> bool:
        supervisor.watch()
        return (tmp_path / "api.log.2").exists()

    wait_until(rotated, seconds=30)
    assert writer.alive
    assert set((tmp_path / "api.log.1").read_text().splitlines()) == {"a line"}
    assert b"\0" not in writer.log.read_bytes()  # after truncation it writes at the beginning


def test_a_disk_without_room_for_rotation_stops_no_process(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "LOG_BYTES", 10)
    (tmp_path / "api.log").write_text("said before\n")
    (tmp_path / "api.log.1").write_text("said long before")
    (tmp_path / "api.log.new").mkdir()  # the copy would have this name
    assert "said before" in run(supervisor, child(tmp_path, "echo said"))
    assert (tmp_path / "api.log.1").read_text() == "said long before"
