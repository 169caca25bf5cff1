"""The console output of the commands."""

from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

console = Console(highlight=False)


def exit_with_error(reason: str) -> NoReturn:
    """Print the reason on one line and exit with status 1."""
    Console(stderr=True, highlight=False).print(
        f"[red]shapshot:[/red] {escape(reason)}", soft_wrap=True
    )
    raise typer.Exit(1)
