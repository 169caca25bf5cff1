"""Options that the commands share, and their connection to a running Shapshot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import httpx
import typer

from service.cli.console import choose_output, exit_with_error
from service.client import Client, ExplanationFailedError, ShapshotError

DEFAULT_URL = "http://127.0.0.1:8000"
PARTLY = 3  # exit code: some explanations have no whole result
INTERRUPTED = 130  # exit code: Ctrl-C, as in a shell

Url = Annotated[str, typer.Option(help="URL of the API.", envvar="SHAPSHOT_URL")]
ApiKey = Annotated[
    str | None, typer.Option(help="Key of the API, if it requires one.", envvar="SHAPSHOT_API_KEY")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.", callback=choose_output)]


@contextmanager
def connected(url: str, api_key: str | None, *, retry_s: float = 0) -> Iterator[Client]:
    """Open a client; on its errors, those of files and Ctrl-C, print one line and exit."""
    try:
        with Client(url, api_key=api_key, retry_s=retry_s) as client:
            yield client
    except httpx.TransportError as error:
        exit_with_error(f"no answer from {url}: {error or type(error).__name__}")
    except KeyboardInterrupt:
        exit_with_error("interrupted", code=INTERRUPTED)
    except ShapshotError as error:
        partly = isinstance(error, ExplanationFailedError)
        id_ = error.problem.received if error.problem.field == "id" else None
        which = f": {id_}" if id_ and str(id_) not in error.problem.detail else ""
        exit_with_error(f"{error}{which}", error.problem, code=PARTLY if partly else 1)
    except (httpx.HTTPError, OSError) as error:  # TimeoutError is an OSError
        exit_with_error(str(error))
