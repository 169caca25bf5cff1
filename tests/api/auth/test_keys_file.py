"""The keys file, and the commands that change it."""

import hashlib
import stat
import threading
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from service.api.auth.keys import Scope, find_key, new_key
from service.api.auth.keys_file import KeysError, change_keys, read_keys
from service.cli.main import app
from tests.api.auth.keyholders import issue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.jsonl"


def shapshot_keys(path: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["keys", *words], env={"SHAPSHOT_KEYS_FILE": str(path)})


def test_a_key_has_256_random_bits_and_only_its_hash_is_stored(path):
    tokens = [issue(path, "clinic", Scope.EXPLAIN) for _ in range(2)]
    assert len(set(tokens)) == 2
    assert all(len(token.removeprefix("shapshot_")) == 43 for token in tokens)  # 32 bytes, base64
    kept = [key.sha256 for key in read_keys(path)]
    assert kept == [hashlib.sha256(token.encode()).hexdigest() for token in tokens]
    assert not any(token in path.read_text() for token in tokens)


def test_only_exact_keys_are_found_among_others():
    made = [new_key(name, [Scope.READ]) for name in ("a", "b", "c")]
    keys = [key for _, key in made]
    for token, key in made:
        assert find_key(keys, token) is key
        assert find_key(keys, token[:-1]) is None
        assert find_key(keys, key.sha256) is None
    assert find_key(keys, "") is None


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "../a", "a b", "ä", ".a", "a" * 65, "a\nb"])
def test_a_name_with_special_characters_is_refused(path, name):
    ended = shapshot_keys(path, "add", "--", name)
    assert ended.exit_code == 1
    assert "letters, digits" in ended.stderr
    assert not path.exists()


def test_only_the_owner_may_read_the_file_whatever_its_mode_was(path):
    issue(path, "clinic", Scope.READ)
    path.chmod(0o644)
    issue(path, "clinic", Scope.READ)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o660, 0o606, 0o622, 0o664, 0o666, 0o777])
def test_a_file_that_others_may_write_is_refused_with_its_mode_and_unchanged(path, mode):
    issue(path, "clinic", Scope.READ)
    path.chmod(mode)
    with pytest.raises(KeysError, match=f"writable by group or others .*{mode:04o}.*chmod go-w"):
        read_keys(path)
    ended = shapshot_keys(path, "add", "lab")
    assert (ended.exit_code, stat.S_IMODE(path.stat().st_mode)) == (1, mode)
    assert f"{mode:04o}" in ended.stderr


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444, 0o600, 0o640, 0o644, 0o755])
def test_a_file_that_others_may_only_read_is_accepted(path, mode):
    issue(path, "clinic", Scope.READ)
    path.chmod(mode)
    assert len(read_keys(path)) == 1


def test_a_folder_where_everybody_may_replace_the_file_is_refused(path):
    for mode in (0o1777, 0o775, 0o755):  # like /tmp; writable by its group; usual
        path.parent.chmod(mode)
        issue(path, "clinic", Scope.READ)
        assert read_keys(path)
    path.parent.chmod(0o777)
    for act in (lambda: read_keys(path), lambda: issue(path, "lab", Scope.READ)):
        with pytest.raises(KeysError, match=r"folder .* has mode 0777.*chmod o-w"):
            act()
    other = path.parent / "other"
    other.mkdir(0o700)
    link = other / "keys.jsonl"
    link.symlink_to(path)
    with pytest.raises(KeysError, match="0777"):
        read_keys(link)


def test_the_links_of_a_mounted_secret_are_followed_to_the_file(tmp_path):
    mount, made = tmp_path / "keys", tmp_path / "keys" / "..2026_11_27"
    made.mkdir(parents=True)
    issue(made / "keys.jsonl", "clinic", Scope.READ)
    (mount / "..data").symlink_to(made.name)
    (mount / "keys.jsonl").symlink_to("..data/keys.jsonl")
    mount.chmod(0o1777)
    made.chmod(0o2755)
    (made / "keys.jsonl").chmod(0o644)
    assert len(read_keys(mount / "keys.jsonl")) == 1
    (made / "keys.jsonl").chmod(0o664)
    with pytest.raises(KeysError, match="0664"):
        read_keys(mount / "keys.jsonl")


def test_concurrent_changes_lose_no_key(path):
    threads = [threading.Thread(target=issue, args=(path, f"n{n}", Scope.READ)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.name for key in read_keys(path)) == sorted(f"n{n}" for n in range(20))
    assert list(path.parent.iterdir()) == [path]


def test_a_change_that_fails_leaves_the_file_as_it_was(path):
    issue(path, "clinic", Scope.READ)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        change_keys(path, lambda keys: [keys[0], 1 // 0])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "json invalid"),
        ("[]", "line 2 is not a valid key"),
        ('{"name": "a"}', "sha256: missing"),
        ('{"name": "a/b", "sha256": "SECRET", "scopes": ["read"]}', "name: string pattern"),
        ('{"name": "a", "sha256": "SECRET", "scopes": ["read"]}', "sha256: string pattern"),
        ('{"name": "a", "sha256": "%s", "scopes": ["all"]}' % ("0" * 64), "scopes.0: enum"),
        ('{"name": "a", "sha256": "%s", "scopes": []}' % ("0" * 64), "scopes: too short"),
    ],
)
def test_a_broken_line_is_named_but_never_echoed(path, line, said):
    issue(path, "clinic", Scope.READ)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(KeysError) as raised:
        read_keys(path)
    assert f"{path}, line 2" in str(raised.value)
    assert said in str(raised.value)
    assert "SECRET" not in str(raised.value)


def test_the_command_prints_a_new_key_once_and_alone(path):
    ended = shapshot_keys(path, "add", "clinic", "--scopes", "read,explain")
    token = ended.stdout.strip()
    [key] = read_keys(path)
    assert find_key([key], token) is key
    assert (key.name, key.scopes) == ("clinic", (Scope.READ, Scope.EXPLAIN))
    listed = shapshot_keys(path, "list").stdout
    assert "clinic" in listed
    assert key.id in listed
    assert token not in listed
    assert key.sha256 not in listed


def test_a_key_may_follow_another_of_its_name(path):
    old, new = (issue(path, "clinic", Scope.EXPLAIN) for _ in range(2))
    other = issue(path, "lab", Scope.READ)
    gone = find_key(read_keys(path), old).id
    assert shapshot_keys(path, "remove", "clinic", "--key", gone).exit_code == 0
    keys = read_keys(path)
    assert [bool(find_key(keys, token)) for token in (old, new, other)] == [False, True, True]
    assert shapshot_keys(path, "remove", "clinic").exit_code == 0
    assert [key.name for key in read_keys(path)] == ["lab"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "clinic", "--scopes", "write"], "--scopes takes read, explain, auditor, admin"),
        (["remove", "nobody"], "there is no key of 'nobody'"),
        (["remove", "clinic", "--key", "00000000"], "known keys: clinic "),
    ],
)
def test_the_commands_report_errors_in_one_line(path, words, said):
    issue(path, "clinic", Scope.READ)
    before = path.read_bytes()
    ended = shapshot_keys(path, *words)
    assert ended.exit_code == 1
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert path.read_bytes() == before
