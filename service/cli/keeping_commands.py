"""Commands that keep explanations: hold, release, review."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.connection import DEFAULT_URL, ApiKey, Json, Url, connected
from service.cli.console import console, exit_with_error, print_json

Id = Annotated[str, typer.Argument(help="Id of an explanation (exp_…).")]


class Verdict(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"
    OVERRIDE = "override"


def hold(
    explanation_id: Id,
    reason: Annotated[str, typer.Option(help="Why it must be kept.")],
    until: Annotated[
        str | None,
        typer.Option(help="When the hold ends by itself, such as 2027-12-31T00:00:00Z."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Who holds it, on a server without keys.")
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Keep an explanation from expiry and deletion."""
    try:
        ends = datetime.fromisoformat(until) if until else None
    except ValueError:
        exit_with_error(f"--until: {until!r} is no time; give one like 2027-12-31T00:00:00Z")
    if ends and ends.tzinfo is None:
        exit_with_error(f"--until: {until} has no time zone; add Z for UTC")
    with connected(url, api_key) as client:
        found = client.hold(explanation_id, reason, until=ends, name=name)
    if as_json:
        print_json(found)
        return
    ending = f"until {found.until:%Y-%m-%d %H:%M} UTC" if found.until else "until it is released"
    console.print(f"{explanation_id} is held by {escape(found.by)} {ending}")


def release(
    explanation_id: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """Release the hold of an explanation; it expires after the rest of its time."""
    with connected(url, api_key) as client:
        client.release_hold(explanation_id)
    if as_json:
        typer.echo(json.dumps({"released": explanation_id}))
    else:
        console.print(f"{explanation_id} is held no more")


def review(
    explanation_id: Id,
    verdict: Annotated[Verdict, typer.Argument(help="What you say of it.")],
    label: Annotated[
        str | None, typer.Option(help="With override: the label that is right.")
    ] = None,
    comment: Annotated[str | None, typer.Option(help="Reasons.")] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Who reviewed it; by default the name of the key.")
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Sign a review of an explanation; it cannot be taken back, only followed by another."""
    with connected(url, api_key) as client:
        found = client.review(
            explanation_id, verdict.value, label=label, comment=comment, reviewer=reviewer
        )
    if as_json:
        print_json(found)
        return
    console.print(
        f"Review {found.number} of {explanation_id}: {found.verdict} by {escape(found.reviewer)}, "
        f"number {found.sequence} in the chain of records"
    )
