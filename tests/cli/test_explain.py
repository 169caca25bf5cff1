"""`shapshot explain` and its neighbours against a real set with small models."""

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from service.cli.explain import WINDOW
from service.cli.main import SAMPLES, app
from tests.conftest import wait_until
from tests.e2e.conftest import Running

QUICK = ("--masker", "mean", "--max-evals", "60", "--top", "1")
CHEAP = {"masker": "mean", "max_evals": 60}
COMMAND = (sys.executable, "-m", "service.cli")


def pictures(folder: Path, count: int) -> Path:
    """A folder of so many small pictures, one of which is there twice; and what is none."""
    (folder / "deeper").mkdir(parents=True)
    with Image.open(SAMPLES / "cat.jpg") as cat:
        for n in range(count):
            place = folder / "deeper" if n == 5 else folder
            cat.convert("RGB").resize((40 + n, 40)).save(place / f"{n}.png")
    (folder / "same.png").write_bytes((folder / "0.png").read_bytes())
    (folder / "notes.txt").write_text("not a picture")
    (folder / "._0.png").write_text("not a picture: what macOS writes beside one")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path / "pictures", 6)


def shapshot(*words: object, **options: Any) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(app, [*map(str, words)], **options)


def lines_of(state: Path) -> list[dict]:
    text = state.read_text() if state.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def test_each_picture_is_computed_once_however_often_the_command_is_stopped(
    running: Running, tmp_path: Path
) -> None:
    count = WINDOW + 8  # more than are sent at a time, so that some are left
    folder, out = pictures(tmp_path / "pictures", count), tmp_path / "out"
    settings = json.dumps({"metadata": {"test": str(tmp_path)}, "seed": 5})
    words = ["explain", folder, "--url", running.url, "--out", out, "--settings", settings, *QUICK]
    succeeded: set[str] = set()
    for stop, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        process = subprocess.Popen([*COMMAND, *map(str, words)], stderr=subprocess.PIPE)
        before = len(succeeded)

        def is_further(before: int = before) -> bool:
            lines = lines_of(out / "shapshot.jsonl")
            succeeded.update(each["name"] for each in lines if each.get("status") == "succeeded")
            return len(succeeded) > before

        wait_until(is_further, seconds=120)
        process.send_signal(stop)
        told = process.communicate(timeout=120)[1].decode()
        assert process.returncode == code
        assert (code == -9) or re.search(r"Stopped after \d+ of 25 pictures; the same", told)
    assert len(succeeded) < count
    ended = shapshot(*words, "--json")
    assert ended.exit_code == 0, ended.stderr
    assert len(json.loads(ended.stdout)["items"]) == count
    page = running.client.list(metadata=[f"test={tmp_path}"], limit=100)
    assert page.total == count
    assert [each.attempts for each in page.items] == [1] * count
    assert [each.cached_from for each in page.items] == [None] * count
    assert {each.image.name for each in page.items} == {f"{n}.png" for n in range(count)}
    names = {path.name for path in out.iterdir()}
    endings = ("csv", "figure.png", "json", "npz")
    files = {f"{n}.{ending}" for n in range(count) for ending in endings}
    assert names == files | {"shapshot.jsonl", "index.html"}
    assert (out / "index.html").read_text().count("<img ") == count
    with np.load(out / "3.npz") as arrays:
        assert arrays["values"].shape == (32, 32, 3, 1)
    with (out / "3.csv").open() as table:
        assert "value" in next(csv.reader(table))
    times = {path: path.stat().st_mtime_ns for path in out.glob("*.npz")}
    again = shapshot(*words)
    assert again.exit_code == 0
    assert f"{count} of {count} pictures are explained" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.npz")} == times


def test_another_style_is_drawn_beside_and_other_settings_get_files_of_their_own(
    running: Running, tmp_path: Path
) -> None:
    words = ["explain", SAMPLES / "cat.jpg", "--url", running.url, "--out", tmp_path, *QUICK]
    for more in ([], ["--style", "heat"], ["--format", "svg"], ["--top", "2"]):
        ended = shapshot(*words, *more)
        assert ended.exit_code == 0, ended.stderr
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "cat.figure.png",
        "cat.heat.png",
        "cat-2.figure.png",
    }
    assert (tmp_path / "cat.figure.svg").read_bytes().startswith(b"<svg ")
    assert re.search(r"exp_[0-9a-f]{32}: ", ended.stdout)
    (tmp_path / "cat.heat.png").unlink()
    assert shapshot(*words, "--style", "heat").exit_code == 0
    assert (tmp_path / "cat.heat.png").exists()


def test_interactions_are_drawn_where_they_are_requested(running: Running, tmp_path: Path) -> None:
    grid = {"kind": "grid", "rows": 2, "columns": 3}
    settings = {"method": "gaussian_process", "superpixels": grid, "interactions": 2}
    words = ["explain", SAMPLES / "cat.jpg", "--url", running.url, "--out", tmp_path, *QUICK]
    words += ["--settings", json.dumps(settings)]
    ended = shapshot(*words, "--style", "interactions")
    assert ended.exit_code == 0, ended.stderr
    assert (tmp_path / "cat.interactions.png").read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "cat.npz") as arrays:
        assert arrays["interaction_pairs"].shape == (15, 2)


def test_a_folder_is_searched_without_the_heatmaps_that_are_in_it(
    running: Running, tmp_path: Path
) -> None:
    (tmp_path / "cat.jpg").write_bytes((SAMPLES / "cat.jpg").read_bytes())
    for _ in range(2):
        words = ["explain", tmp_path, "--url", running.url, "--out", tmp_path, *QUICK, "--json"]
        ended = shapshot(*words, "--format", "png")
        assert [item["files"] for item in json.loads(ended.stdout)["items"]] == [
            [str(tmp_path / f"cat.{each}") for each in ("figure.png", "npz", "json", "csv")]
        ]


@pytest.mark.parametrize(("format", "head"), [("svg", b"<svg "), ("PDF", b"%PDF")])
def test_a_single_heatmap_has_the_format_of_its_name(
    running: Running, tmp_path: Path, format: str, head: bytes
) -> None:
    out = tmp_path / f"cat.{format}"
    words = ["explain", SAMPLES / "cat.jpg", "--url", running.url, "--out", out, *QUICK]
    assert shapshot(*words).exit_code == 0
    assert out.read_bytes().startswith(head)
    other = shapshot(*words, "--format", "png")
    assert (other.exit_code, "received --format png" in other.stderr) == (1, True)


def test_standard_input_is_a_picture(running: Running, tmp_path: Path) -> None:
    content = (SAMPLES / "cat.jpg").read_bytes()
    words = ["explain", "-", "--url", running.url, "--out", tmp_path / "out", *QUICK, "--json"]
    ended = shapshot(*words, input=content)
    assert ended.exit_code == 0, ended.stderr
    [item] = json.loads(ended.stdout)["items"]
    assert (item["picture"], item["status"]) == ("stdin", "succeeded")


def test_a_picture_that_is_refused_leaves_the_others(running: Running, folder: Path) -> None:
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:60])
    out = folder.parent / "out"
    words = ["explain", folder, "--url", running.url, "--out", out, *QUICK, "--json"]
    ended = shapshot(*words)
    assert ended.exit_code == 3
    items = json.loads(ended.stdout)["items"]
    [refused] = [item for item in items if item["status"] != "succeeded"]
    assert refused["picture"].endswith("1.png")
    assert "Invalid picture" in refused["error"]
    assert len(items) == 6
    assert "Invalid picture" in (out / "index.html").read_text()


def test_what_is_there_is_listed_shown_awaited_canceled_and_deleted(
    running: Running, tmp_path: Path
) -> None:
    ids = [running.client.submit(SAMPLES / "cat.jpg", CHEAP | {"seed": n}).id for n in (71, 72)]
    batch = running.client.submit_batch([SAMPLES / "cat.jpg"], CHEAP | {"seed": 73}).id
    at = ("--url", running.url, "--json")
    assert shapshot("wait", *ids, batch, *at).exit_code == 0
    filters = (
        "--status",
        "succeeded",
        "--masker",
        "mean",
        "--created-after",
        "2020-01-01T00:00:00Z",
    )
    listed = json.loads(shapshot("list", "--limit", 3, *filters, *at).stdout)
    assert {*ids} <= {each["id"] for each in listed}
    assert (
        shapshot("list", "--limit", 1, "--url", running.url)
        .stdout.splitlines()[-1]
        .startswith("1 of ")
    )
    shown = json.loads(shapshot("get", ids[0], batch, *at).stdout)
    assert [each["id"] for each in shown] == [ids[0], batch]
    assert batch in [each["id"] for each in json.loads(shapshot("batches", *at).stdout)]
    methods = json.loads(shapshot("methods", *at).stdout)["items"]
    assert "kernel" in [each["name"] for each in methods]
    [canceled] = json.loads(shapshot("cancel", ids[0], *at).stdout)
    assert canceled["status"] == "succeeded"  # it was done
    deleted = json.loads(shapshot("delete", *ids, batch, *at).stdout)
    assert deleted == {"deleted": [*ids, batch], "not_deleted": []}
    gone = shapshot("get", ids[0], *at)
    assert gone.exit_code == 1
    assert "no such explanation" in gone.stderr


def test_what_was_deleted_is_told_though_something_was_not(running: Running) -> None:
    absent, at = "exp_" + "0" * 32, ("--url", running.url)
    for more in ((), ("--json",)):
        ids = [running.client.submit(SAMPLES / "cat.jpg", CHEAP | {"seed": n}).id for n in (75, 76)]
        assert shapshot("wait", *ids, *at).exit_code == 0
        ended = shapshot("delete", ids[0], absent, ids[1], *at, *more)
        assert ended.exit_code == 1
        if more:
            assert json.loads(ended.stdout) == {"deleted": ids, "not_deleted": [absent]}
            assert json.loads(ended.stderr)["received"] == absent
        else:
            assert ended.stdout == f"Deleted {ids[0]}\nDeleted {ids[1]}\n"
            assert f"did not delete {absent}: Not found" in ended.stderr
        assert [shapshot("get", each, *at).exit_code for each in ids] == [1, 1]


def test_waiting_for_what_was_canceled_is_told_by_the_exit_code(running: Running) -> None:
    slow = {"max_evals": 50_000, "masker": "mean", "seed": 74}
    explanation = running.client.submit(SAMPLES / "cat.jpg", slow)
    shapshot("cancel", explanation.id, "--url", running.url)
    ended = shapshot("wait", explanation.id, "--url", running.url, "--json")
    assert ended.exit_code == 3
    assert json.loads(ended.stdout)[0]["status"] == "canceled"


def test_a_url_is_sent_to_the_server_which_says_that_it_fetches_none(
    running: Running, tmp_path: Path
) -> None:
    words = ["explain", "https://pictures.example/cat.jpg", "--url", running.url, "--out"]
    ended = shapshot(*words, tmp_path / "out", "--json")
    assert ended.exit_code == 3, ended.stderr
    [item] = json.loads(ended.stdout)["items"]
    assert (item["picture"], item["status"]) == (words[1], "refused")
    assert "SHAPSHOT_PICTURE_URLS" in item["error"]
    alone = shapshot(*words, tmp_path / "cat.png")
    assert alone.exit_code == 1
    assert "SHAPSHOT_PICTURE_URLS" in alone.stderr
