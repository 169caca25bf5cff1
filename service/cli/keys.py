"""`shapshot keys`: add, list and remove keys in the keys file; a running server follows."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from service.api.auth.keys import NAME, Key, Scope, new_key
from service.api.auth.keys_file import Change, KeysError, change_keys, read_keys
from service.cli.console import console, exit_with_error

File = Annotated[
    Path, typer.Option("--file", help="The keys file.", envvar="SHAPSHOT_KEYS_FILE", dir_okay=False)
]
app = typer.Typer(no_args_is_help=True, help="Say who may use the API.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is; a name may have several.")],
    file: File,
    scopes: Annotated[
        str, typer.Option(help="read, explain (may read, too) or admin (may do all, to all).")
    ] = "explain",
) -> None:
    """Make a key and print it, this once."""
    if not re.fullmatch(NAME, name):
        exit_with_error(f"a name has up to 64 letters, digits and . _ -; received {name[:100]!r}")
    token, key = new_key(name, _scopes(scopes))
    _change(file, lambda present: [*present, key])
    typer.echo(f"Key {key.id} of {name}; it is shown this once:", err=True)
    typer.echo(token)


@app.command(name="list")
def list_keys(file: File) -> None:
    """List the keys: whose they are and what for, never what they are."""
    table = Table("name", "key", "scopes", "made")
    try:
        for key in read_keys(file):
            table.add_row(key.name, key.id, ",".join(key.scopes), f"{key.created_at:%Y-%m-%d}")
    except KeysError as error:
        exit_with_error(str(error))
    console.print(table)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Whose keys no longer hold.")],
    file: File,
    key: Annotated[str | None, typer.Option(help="Only this one, as `list` names it.")] = None,
) -> None:
    """Remove the keys of a name, or one of them; what was made with them stays the name's."""
    _change(file, lambda present: _without(present, name, key))


def _without(present: Sequence[Key], name: str, id_: str | None) -> list[Key]:
    kept = [key for key in present if key.name != name or id_ not in (None, key.id)]
    if len(kept) == len(present):
        known = ", ".join(f"{key.name} {key.id}" for key in present) or "none"
        raise KeysError(f"there is no key {name!r} {id_ or ''}; there are: {known}")
    return kept


def _scopes(text: str) -> list[Scope]:
    try:
        return [Scope(word.strip()) for word in text.split(",")]
    except ValueError:
        exit_with_error(f"--scopes takes {', '.join(Scope)}, by commas; received {text[:100]!r}")


def _change(file: Path, change: Change) -> None:
    try:
        change_keys(file, change)
    except KeysError as error:
        exit_with_error(str(error))
