"""`shapshot keys`: add, list and remove keys in the keys file; a running server rereads it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from service.api.auth.keys import NAME, Key, Scope, new_key
from service.api.auth.keys_file import Change, KeysError, change_keys, read_keys
from service.cli.connection import Json
from service.cli.console import console, exit_with_error, print_json

File = Annotated[
    Path, typer.Option("--file", help="The keys file.", envvar="SHAPSHOT_KEYS_FILE", dir_okay=False)
]
app = typer.Typer(no_args_is_help=True, help="Manage the keys of the API.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the owner, who may have several keys.")],
    file: File,
    scopes: Annotated[
        str,
        typer.Option(
            help="read, explain (includes read), auditor (reads, for all owners) or admin "
            "(everything, for all owners)."
        ),
    ] = "explain",
    retention_s: Annotated[
        int | None,
        typer.Option(
            "--retention",
            min=1,
            help="Seconds that its explanations are kept, and the most that a request may ask "
            "for; by default those of the server.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it; it cannot be shown again."""
    if not re.fullmatch(NAME, name):
        exit_with_error(f"a name has up to 64 letters, digits and . _ -; received {name[:100]!r}")
    try:
        granted = [Scope(word.strip()) for word in scopes.split(",")]
    except ValueError:
        accepted = ", ".join(Scope)
        exit_with_error(
            f"--scopes takes {accepted}, separated by commas; received {scopes[:100]!r}"
        )
    token, key = new_key(name, granted, retention_s)
    _change(file, lambda present: [*present, key])
    if as_json:
        print_json({**_shown(key), "key": token})
        return
    typer.echo(f"Key {key.id} of {name}; it is shown only once:", err=True)
    typer.echo(token)


@app.command(name="list")
def list_keys(file: File, as_json: Json = False) -> None:
    """List owner, id, scopes and date of all keys, never the keys themselves."""
    try:
        found = read_keys(file)
    except KeysError as error:
        exit_with_error(str(error))
    if as_json:
        print_json([_shown(key) for key in found])
        return
    table = Table("name", "key", "scopes", "created")
    for key in found:
        table.add_row(key.name, key.id, ",".join(key.scopes), f"{key.created_at:%Y-%m-%d}")
    console.print(table)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of the owner.")],
    file: File,
    key: Annotated[str | None, typer.Option(help="Only the key with this id, see `list`.")] = None,
    as_json: Json = False,
) -> None:
    """Remove all keys of an owner, or one of them; explanations made with them stay."""

    removed: list[Key] = []

    def remove_from(present: Sequence[Key]) -> list[Key]:
        kept = [each for each in present if each.name != name or key not in (None, each.id)]
        if len(kept) == len(present):
            known = ", ".join(f"{each.name} {each.id}" for each in present) or "none"
            asked = f"{key} of {name!r}" if key else f"of {name!r}"
            raise KeysError(f"there is no key {asked}; known keys: {known}")
        removed.extend(each for each in present if each not in kept)
        return kept

    _change(file, remove_from)
    if as_json:
        print_json({"removed": [_shown(each) for each in removed]})
    for each in removed:
        console.print(f"Removed key {each.id} of {each.name}", soft_wrap=True)


def _shown(key: Key) -> dict[str, Any]:
    """Return what may be told of a key: not its hash."""
    return {"id": key.id, **key.model_dump(mode="json", include={"name", "scopes", "created_at"})}


def _change(file: Path, change: Change) -> None:
    try:
        change_keys(file, change)
    except KeysError as error:
        exit_with_error(str(error))
