"""What `shapshot` says to a person where it cannot do what was asked."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import SAMPLES, app
from service.cli.result_folder import FolderError, ResultFolder

NOBODY = "http://127.0.0.1:1"


def test_beside_the_client_alone_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from service.__main__ import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert re.fullmatch(r"shapshot: typer .* pip install 'shapshot\[service\]'.*\n", ended.stderr)


@pytest.fixture
def told(request: pytest.FixtureRequest) -> str:
    """The only line of a command that fails."""
    ended = CliRunner().invoke(app, request.param, env={"SHAPSHOT_URL": NOBODY})
    assert ended.exit_code == 1
    [line] = ended.stderr.splitlines()
    return line.removeprefix("shapshot: ")


@pytest.mark.parametrize("told", [["models"], ["explain", str(SAMPLES / "cat.jpg")]], indirect=True)
def test_who_does_not_answer_is_named(told: str) -> None:
    assert told == f"no answer from {NOBODY}: [Errno 111] Connection refused"


@pytest.mark.parametrize("told", [["explain", "/proc/self/mem"]], indirect=True)
def test_a_picture_that_cannot_be_read_is_no_trace(told: str) -> None:
    assert told == "[Errno 5] Input/output error"


@pytest.mark.parametrize(
    "told", [["explain", str(SAMPLES / "cat.jpg"), "--fingerprint", "sha256:ab"]], indirect=True
)
def test_a_fingerprint_alone_pins_nothing(told: str) -> None:
    assert "--model" in told


@pytest.mark.parametrize(
    ("told", "received"),
    [
        (["explain", str(SAMPLES / "cat.jpg"), "--settings", "3"], "'3'"),
        (["explain", str(SAMPLES / "cat.jpg"), "--settings", "{"], "'{'"),
        (["explain", str(SAMPLES / "cat.jpg"), "--masker", "black"], "'black'"),
        (
            ["explain", str(SAMPLES / "cat.jpg"), "--model", "a", "--fingerprint", "sha256:ab"],
            "'sha256:ab'",
        ),
    ],
    indirect=["told"],
)
def test_settings_that_are_none_are_refused_with_what_was_received(
    told: str, received: str
) -> None:
    assert f"received {received}" in told


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    return path


def test_the_version_is_printed() -> None:
    ended = CliRunner().invoke(app, ["--version"])
    assert ended.exit_code == 0
    assert re.fullmatch(r"shapshot \d+\.\d+\.\d+\S*\n", ended.stdout)


def failed(*words: object) -> tuple[int, str]:
    """Exit code and words of a command that nobody answers."""
    ended = CliRunner().invoke(app, [*map(str, words)], env={"SHAPSHOT_URL": NOBODY})
    return ended.exit_code, " ".join(ended.stderr.split())


def test_what_can_be_checked_here_is_checked_before_anything_is_sent(
    text: Path, tmp_path: Path
) -> None:
    cat, empty = SAMPLES / "cat.jpg", tmp_path / "empty"
    empty.mkdir()
    code, told = failed("explain", cat, "--style", "foo")
    assert code == 2
    assert "overlay" in told
    assert failed("explain", text) == (
        1,
        f"shapshot: {text} is not a picture; accepted: JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM, "
        "AVIF, HEIF",
    )
    for out in (text, text / "below", "/proc/results"):
        code, told = failed("explain", cat, "--out", out / "x" if out == text else out)
        assert code == 1
        assert "cannot be written" in told
    code, told = failed("explain", empty)
    assert (code, "has no pictures" in told) == (1, True)
    code, told = failed("explain", cat, cat, "--out", tmp_path / "heatmap.png")
    assert (code, "for one picture; received 2" in told) == (1, True)
    code, told = failed("explain", cat, "--out", tmp_path / "heatmap.gif")
    assert (code, "one of .png, .svg, .pdf; received .gif" in told) == (1, True)
    code, told = failed("explain", tmp_path / "absent.jpg")
    assert (code, "No such file" in told) == (1, True)
    assert not (tmp_path / "heatmap.png").exists()


def test_nothing_is_overwritten_silently(text: Path, tmp_path: Path) -> None:
    code, told = failed("explain", SAMPLES / "cat.jpg", "--out", text)
    assert code == 1
    assert told.endswith("notes.png exists; name another --out, or give --overwrite")
    assert text.read_text() == "not a picture"
    (tmp_path / "index.html").write_text("another page")
    with pytest.raises(FolderError, match="something else"):
        ResultFolder(tmp_path)


def test_a_line_that_a_killed_run_left_half_written_is_passed_over(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    entry = folder.entry_of("a/cat.jpg", "1" * 64, "2" * 64)
    other = folder.entry_of("b/cat.jpg", "3" * 64, "2" * 64)
    assert (entry.name, other.name) == ("cat", "cat-2")
    with (tmp_path / "shapshot.jsonl").open("a") as file:
        file.write('\n{"picture": "b/c')
    again = ResultFolder(tmp_path)
    assert again.entry_of("a/cat.jpg", "1" * 64, "2" * 64) == entry
    assert again.key_of(entry) == folder.key_of(entry)
    failed_once = again.again(entry)
    assert again.key_of(failed_once) != again.key_of(entry)
    assert ResultFolder(tmp_path).entries == again.entries
