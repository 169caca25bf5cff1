"""How commands speak to a person."""

from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

console = Console(highlight=False)


def exit_with_error(reason: str) -> NoReturn:
    """Say in one line why it cannot go on, and end."""
    Console(stderr=True, highlight=False).print(
        f"[red]shapshot:[/red] {escape(reason)}", soft_wrap=True
    )
    raise typer.Exit(1)
