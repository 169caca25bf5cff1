"""Options that the commands share, and their connection to a running Shapshot."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import httpx
import typer
from pydantic import BaseModel

from service.cli.console import exit_with_error
from service.client import Client, ShapshotError

DEFAULT_URL = "http://127.0.0.1:8000"
PARTLY = 3  # exit code: some explanations have no whole result

Url = Annotated[str, typer.Option(help="URL of the API.", envvar="SHAPSHOT_URL")]
ApiKey = Annotated[
    str | None, typer.Option(help="Key of the API, if it requires one.", envvar="SHAPSHOT_API_KEY")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def connected(url: str, api_key: str | None, *, retry_s: float = 0) -> Iterator[Client]:
    """Open a client; print its errors, and those of files, on one line and exit."""
    try:
        with Client(url, api_key=api_key, retry_s=retry_s) as client:
            yield client
    except httpx.TransportError as error:
        exit_with_error(f"no answer from {url}: {error or type(error).__name__}")
    except (ShapshotError, httpx.HTTPError, OSError) as error:  # TimeoutError is an OSError
        exit_with_error(str(error))


def print_json(document: BaseModel | Sequence[BaseModel]) -> None:
    """Print a document, or several as an array."""
    if isinstance(document, BaseModel):
        typer.echo(document.model_dump_json(indent=2))
    else:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in document], indent=2))
