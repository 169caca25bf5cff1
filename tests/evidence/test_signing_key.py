"""`shapshot signing-key`: makes and replaces the key, and never loses one."""

import json

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.evidence.keys import PublicKeys, SigningKey


def run(*arguments):
    return CliRunner().invoke(app, ["signing-key", *map(str, arguments)])


def test_a_key_is_made_once(tmp_path):
    path = tmp_path / "key.pem"
    made = run("create", path, "--json")
    assert made.exit_code == 0
    assert json.loads(made.output)["kid"] == SigningKey.read(path).public.kid
    before = path.read_bytes()
    again = run("create", path)
    assert again.exit_code == 1
    assert "a key is never overwritten" in again.output
    assert path.read_bytes() == before


def test_a_replaced_key_is_retired_and_known(tmp_path):
    path, retired = tmp_path / "key.pem", tmp_path / "retired.json"
    keys = [json.loads(run("create", path, "--json").output)["kid"]]
    for _ in range(2):
        keys.append(json.loads(run("rotate", path, "--retired", retired, "--json").output)["kid"])
    assert SigningKey.read(path).public.kid == keys[2]
    known = PublicKeys.read(retired).keys
    assert [key.kid for key in known] == [keys[1], keys[0]]
    assert all(key.retired_at for key in known)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["key.pem", "retired.json"]


def test_the_public_half_is_a_key_set(tmp_path):
    run("create", tmp_path / "key.pem")
    shown = run("public", tmp_path / "key.pem").output
    assert "private" not in shown
    [key] = PublicKeys.model_validate_json(shown).keys
    assert key == SigningKey.read(tmp_path / "key.pem").public


@pytest.mark.parametrize("command", ["create", "rotate", "public"])
def test_a_file_that_cannot_be_used_is_named(tmp_path, command):
    path = tmp_path / "absent" / "key.pem"
    options = ["--retired", tmp_path / "retired.json"] if command == "rotate" else []
    told = run(command, path, *options)
    assert told.exit_code == 1
    assert "key.pem" in told.output.replace("\n", "")
    assert "Traceback" not in told.output
