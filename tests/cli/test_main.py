"""What `shapshot` says to a person where it cannot do what was asked."""

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from service.cli.main import SAMPLES, app

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
