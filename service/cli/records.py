"""`shapshot records`: the chain of signed statements."""

from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from service.cli.connection import DEFAULT_URL, ApiKey, Json, Url, connected
from service.cli.console import console, print_json


def records(
    after: Annotated[
        int | None, typer.Option(min=0, help="Sequence of the last one that you know.")
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List the chain of records and reviews to its end; takes a key of scope auditor.

    With --json it is what `shapshot verify --chain` takes.
    """
    found = []
    with connected(url, api_key) as client:
        page = client.records(after=after)
        found += page.items
        while page.next_after is not None:
            page = client.records(after=page.next_after)
            found += page.items
    if as_json:
        print_json(found)
        return
    table = Table("place", "kind", "id", "sha256", box=SIMPLE_HEAD)
    for each in found:
        table.add_row(*map(escape, (str(each.sequence), each.kind, each.id, each.sha256)))
    console.print(table)
