"""`shapshot signing-key`: make the key that signs records, and replace it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.connection import Json
from service.cli.console import console, exit_with_error
from service.evidence.keys import PublicKeys, SigningKey, SigningKeyError

KeyFile = Annotated[
    Path, typer.Argument(help="File of the private key.", envvar="SHAPSHOT_SIGNING_KEY_FILE")
]
app = typer.Typer(no_args_is_help=True, help="Manage the key that signs records.")


@app.command()
def create(file: KeyFile, as_json: Json = False) -> None:
    """Make a key, in a new file that only its owner can read."""
    _tell(_created(file), file, as_json=as_json)


@app.command()
def rotate(
    file: KeyFile,
    retired: Annotated[
        Path,
        typer.Option(
            help="File to add the public half of the old key to.",
            envvar="SHAPSHOT_RETIRED_KEYS_FILE",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Replace the key by a new one; the old one verifies what it signed until now.

    Restart the API processes afterwards: until then they sign by the old key, and such records
    are refused as signed after its end.
    """
    try:
        old = SigningKey.read(file)
        known = PublicKeys.read(retired).keys if retired.exists() else ()
    except SigningKeyError as error:
        exit_with_error(str(error))
    fresh = file.with_name(file.name + ".new")
    made = _created(fresh)
    ended = old.retired(datetime.now(UTC))  # noqa: TID251 - operators compare it with their clock
    try:
        beside = retired.with_name(retired.name + ".new")
        content = PublicKeys(keys=(ended, *known)).model_dump_json(indent=2, exclude_none=True)
        beside.write_text(content + "\n", encoding="utf-8")
        beside.replace(retired)
        fresh.replace(file)
    except OSError as error:
        exit_with_error(f"cannot write {error.filename}: {error.strerror}")
    _tell(made, file, as_json=as_json)


@app.command()
def public(file: KeyFile, as_json: Json = False) -> None:
    """Print the public half as a JSON Web Key Set, which `shapshot verify --keys` takes."""
    del as_json  # it is JSON in any case
    try:
        key = SigningKey.read(file)
    except SigningKeyError as error:
        exit_with_error(str(error))
    typer.echo(PublicKeys(keys=(key.public,)).model_dump_json(indent=2, exclude_none=True))


def _created(file: Path) -> SigningKey:
    try:
        return SigningKey.create(file)
    except FileExistsError:
        exit_with_error(f"{file} exists; a key is never overwritten")
    except OSError as error:
        exit_with_error(f"cannot write {file}: {error.strerror}")


def _tell(made: SigningKey, file: Path, *, as_json: bool) -> None:
    """Print the public half of a key."""
    if as_json:
        typer.echo(made.public.model_dump_json(exclude_none=True))
    else:
        console.print(f"{escape(str(file))} has the key {made.public.kid}")
