"""The console output of the commands: text for people, or with --json one document."""

import shutil
from typing import Any, NoReturn

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.markup import escape

from service.schemas.documents import Problem

FILE_WIDTH = 160  # columns of a table in a file or pipe
console = Console(highlight=False, width=shutil.get_terminal_size((FILE_WIDTH, 24)).columns)


def choose_output(as_json: bool) -> bool:
    """With --json, leave stdout to the document: text for people goes to stderr."""
    console.stderr = as_json
    return as_json


def print_json(document: Any) -> None:
    """Print the only document of a command."""
    typer.echo(to_json(document, indent=2).decode())


def exit_with_error(reason: str, problem: Problem | None = None, *, code: int = 1) -> NoReturn:
    """Print the reason on one line of stderr and exit.

    With --json, print a problem document (RFC 9457): that of the server, or one with a detail only.
    """
    if console.stderr:
        typer.echo(to_json(problem or {"detail": reason}).decode(), err=True)
    else:
        Console(stderr=True, highlight=False).print(
            f"[red]shapshot:[/red] {escape(reason)}", soft_wrap=True
        )
    raise typer.Exit(code)
