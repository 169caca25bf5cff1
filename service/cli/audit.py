"""`shapshot audit`: who asked, read, changed and was refused what, and when."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from service.cli.connection import DEFAULT_URL, ApiKey, Json, Url, connected
from service.cli.console import console, exit_with_error, print_json

PAGE = 1000  # entries, the server's limit


def audit(
    actor: Annotated[str | None, typer.Option(help="Name of the key.")] = None,
    action: Annotated[str | None, typer.Option(help="For example read or deleted.")] = None,
    explanation: Annotated[
        str | None, typer.Option(help="Id of an explanation or a batch.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Such as 2026-07-01T00:00:00Z.")] = None,
    before: Annotated[str | None, typer.Option(help="Such as 2026-08-01T00:00:00Z.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most entries to list.")] = 50,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write all that is selected, oldest first, and the signed segments to this new "
            "file of NDJSON, for `shapshot verify`; without filters, so that it can be checked."
        ),
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List the audit log, newest first; takes a key of scope auditor."""
    times = {"since": since, "before": before}
    filters: dict[str, Any] = {"actor": actor, "action": action, "explanation": explanation}
    try:
        filters |= {name: datetime.fromisoformat(text) for name, text in times.items() if text}
    except ValueError as error:
        exit_with_error(f"{error}; give a time like 2026-07-01T00:00:00Z")
    filters = {name: value for name, value in filters.items() if value is not None}
    with connected(url, api_key) as client:
        if export:
            content = client.audit_lines(**filters) + client.audit_segments()
            with export.open("xb") as file:
                file.write(content)
            console.print(f"Saved {escape(str(export))}")
            return
        page = client.audit(**filters, limit=min(limit, PAGE))
        found = list(page.items)
        while page.next_cursor and len(found) < limit:
            page = client.audit(**filters, limit=min(limit, PAGE), cursor=page.next_cursor)
            found += page.items
    signed = {each.id: page.is_signed(each) for each in found[:limit]}  # by the newest page
    if as_json:
        print_json([each.model_dump() | {"signed": signed[each.id]} for each in found[:limit]])
        return
    table = Table(*("when (UTC)", "signed", "who", "action", "what", "of", "why"), box=SIMPLE_HEAD)
    for each in found[:limit]:
        refused = " (refused)" if each.outcome == "refused" and each.action != "refused" else ""
        cells = (
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            "yes" if signed[each.id] else "not yet" if page.signing else "no",
            each.actor or "",
            f"{each.action}{refused}",
            each.what or "",
            each.explanation or "",
            each.detail or "",
        )
        table.add_row(*map(escape, cells))
    console.print(table)
    if unsigned := len(signed) - sum(signed.values()):
        told = "Not signed yet" if page.signing else "Not signed"
        why = "signs about every ten minutes" if page.signing else "has no signing key"
        console.print(f"{told}: {unsigned} of {len(signed)} entries; the server {why}.")
