"""The same job from Python with asyncio, and from the command line."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.client import AsyncClient, ShapshotError
from service.schemas.documents import ErrorCode
from service.schemas.requests import ExplanationSettings
from tests.e2e.conftest import Running
from tests.e2e.pictures import SAMPLE

QUICK = ExplanationSettings(max_evals=60, masker="mean")


async def test_the_async_client_gets_the_same_as_the_blocking_one(running: Running) -> None:
    blocking = running.client.explain(SAMPLE, QUICK)
    async with AsyncClient(running.url, timeout=60) as client:
        explanation = await client.explain(SAMPLE, QUICK)
        values = (await client.attributions(explanation.id)).values
        assert (await client.get(explanation.id)).outputs == explanation.outputs
        assert explanation.id in [each.id for each in (await client.list(limit=5)).items]
        assert (await client.model("cifar10")).labels
        png = await client.heatmap(explanation.id, "heat")
        await client.delete(explanation.id)
        with pytest.raises(ShapshotError, match="no such explanation"):
            await client.cancel(explanation.id)
    np.testing.assert_array_equal(values, running.client.attributions(blocking.id).values)
    assert png.startswith(b"\x89PNG")


def test_a_refused_request_raises_the_problem(running: Running) -> None:
    with pytest.raises(ShapshotError) as refused:
        running.client.explain(SAMPLE, QUICK.model_copy(update={"model": "absent"}))
    assert refused.value.problem.code == ErrorCode.UNKNOWN_MODEL
    assert refused.value.problem.accepted == ["cifar10", "fashion_mnist"]


def test_the_command_line_explains_a_picture(running: Running, tmp_path: Path) -> None:
    heatmap = tmp_path / "heatmap.png"
    ended = _shapshot(
        "explain", str(SAMPLE), "--url", running.url, "--top", "2", "--style", "overlay",
        "--max-evals", "60", "--out", str(heatmap),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "cat" in ended.stdout
    with Image.open(heatmap) as overlay, Image.open(SAMPLE) as picture:
        assert overlay.size == picture.size


def test_the_command_line_takes_any_setting_as_json(running: Running, tmp_path: Path) -> None:
    ended = _shapshot(
        "explain", str(SAMPLE), "--url", running.url, "--method", "exact", "--masker", "mean",
        "--settings", '{"superpixels": {"kind": "grid", "rows": 2, "columns": 3}}',
        "--out", str(tmp_path / "heatmap.png"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "64 evaluations" in ended.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--masker", "paint"], "masker: received 'paint'; .*inpaint_telea.*blur"),
        (["--settings", "[1]"], "--settings takes a JSON object; received '\\[1\\]'"),
        (["--settings", '{"seed": -1}'], "seed: received '-1'; .*greater than or equal to 0"),
    ],
)
def test_the_command_line_reports_errors_in_one_line(options: list[str], said: str) -> None:
    ended = _shapshot("explain", str(SAMPLE), *options)
    assert ended.returncode == 1
    assert re.search(said, ended.stderr)
    assert len(ended.stderr.splitlines()) == 1


def test_the_command_line_lists_models(running: Running) -> None:
    ended = _shapshot("models", "--url", running.url)
    assert "cifar10" in ended.stdout
    assert "32x32x3" in ended.stdout


def test_the_command_line_reports_in_one_line_that_no_server_listens() -> None:
    ended = _shapshot("models", "--url", "http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "refused" in ended.stderr


def _shapshot(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
