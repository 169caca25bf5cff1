"""`shapshot webhooks`: add, list, change and remove webhooks, and see what was delivered."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from service.cli.connection import DEFAULT_URL, ApiKey, Json, Url, connected
from service.cli.console import console, print_json
from service.cli.server_commands import WIDE, id_table
from service.schemas.webhooks import EVENTS, Delivery, Webhook, WebhookWithSecret

Id = Annotated[str, typer.Argument(help="Id of the webhook (wh_…).")]
Signature = Annotated[
    str | None, typer.Option(help="v1 (HMAC-SHA256, the default) or v1a (Ed25519).")
]
app = typer.Typer(no_args_is_help=True, help="Manage the addresses that are told of events.")


@app.command(name="list")
def list_webhooks(as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List webhooks, newest first."""
    with connected(url, api_key) as client:
        found = client.webhooks().items
    if as_json:
        print_json(found)
        return
    _show(found)


@app.command()
def add(
    receiver: Annotated[str, typer.Argument(help="https:// address of the receiver.")],
    event: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(EVENTS)}; may be repeated.")
    ] = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    all_owners: Annotated[
        bool, typer.Option("--all-owners", help="Events of all owners; for admins.")
    ] = False,
    signature: Signature = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Add a webhook, of all events unless some are given, and print its secret once."""
    with connected(url, api_key) as client:
        made = client.add_webhook(
            receiver,
            event or EVENTS,
            description=description,
            all_owners=all_owners,
            signature=signature,  # type: ignore[arg-type]  # the server checks it
        )
    _show_secret(made, as_json)


@app.command()
def remove(
    webhook: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """Remove a webhook, with what is pending."""
    with connected(url, api_key) as client:
        client.delete_webhook(webhook)
    if as_json:
        print_json({"removed": webhook})
        return
    console.print(f"Removed {webhook}", soft_wrap=True)


@app.command()
def enable(
    webhook: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """Enable a webhook again, which delivers what is pending."""
    _change(webhook, as_json, url, api_key, enabled=True)


@app.command()
def disable(
    webhook: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """Disable a webhook; it misses events, and keeps what is pending."""
    _change(webhook, as_json, url, api_key, enabled=False)


@app.command()
def rotate(
    webhook: Id,
    signature: Signature = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Replace the secret and print the new one once; the old one signs along for a day."""
    with connected(url, api_key) as client:
        made = client.rotate_webhook(
            webhook,
            signature=signature,  # type: ignore[arg-type]  # the server checks it
        )
    _show_secret(made, as_json)


@app.command(name="test")
def send_test(
    webhook: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """Queue a delivery that only tests the webhook."""
    with connected(url, api_key) as client:
        found = client.test_webhook(webhook)
    _show_deliveries([found], as_json, found)


@app.command()
def deliveries(
    webhook: Id,
    status: Annotated[str | None, typer.Option(help="pending, delivered or failed.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Most deliveries to list.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List the last deliveries of a webhook, with their last attempt."""
    with connected(url, api_key) as client:
        found = client.deliveries(
            webhook,
            status=status,  # type: ignore[arg-type]  # the server checks it
            limit=limit,
        ).items
    _show_deliveries(found, as_json, found)


@app.command()
def replay(
    webhook: Id,
    delivery: Annotated[
        list[str] | None, typer.Argument(help="Ids of deliveries (msg_…); none: all that failed.")
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Deliver again, under the same ids."""
    found = list[Delivery]()
    with connected(url, api_key) as client:
        if delivery:
            found = [client.replay_delivery(webhook, each) for each in delivery]
        while not delivery:  # page by page, as those replayed are no longer listed as failed
            failed = client.deliveries(webhook, status="failed", limit=100).items
            found += [client.replay_delivery(webhook, each.id) for each in failed]
            if len(failed) < 100:
                break
    _show_deliveries(found, as_json, found)


def _change(webhook: str, as_json: bool, url: str, api_key: str | None, *, enabled: bool) -> None:
    with connected(url, api_key) as client:
        found = client.change_webhook(webhook, enabled=enabled)
    if as_json:
        print_json(found)
        return
    _show([found])


def _show(webhooks: list[Webhook]) -> None:
    columns = ["id", "state", "url", "events", "pending"]
    table = id_table(columns if console.width >= WIDE else columns[:3])
    for each in webhooks:
        failing = each.failing_since and f"fails since {each.failing_since:%Y-%m-%d %H:%M}"
        state = failing or "enabled" if each.enabled else f"disabled: {each.disabled_for}"
        row = (each.id, state, each.url, ", ".join(each.events), str(each.pending))
        table.add_row(*(escape(cell) for cell in row[: len(table.columns)]))
    console.print(table)


def _show_secret(made: WebhookWithSecret, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    what = "public key" if made.secret is None else "secret, which is shown only once"
    typer.echo(f"Webhook {made.id}; its {what}:", err=True)
    typer.echo(made.secret or made.public_key)


def _show_deliveries(found: list[Delivery], as_json: bool, document: Any) -> None:
    if as_json:
        print_json(document)
        return
    columns = ["id", "type", "status", "last attempt", "next attempt", "subject"]
    table = id_table(columns if console.width >= WIDE else columns[:3])
    for each in found:
        last = each.attempts[-1] if each.attempts else None
        row = (
            each.id,
            each.type,
            each.status,
            (last.error or str(last.status_code)) if last else "",
            f"{each.next_attempt_at:%Y-%m-%d %H:%M:%S}" if each.next_attempt_at else "",
            each.subject,
        )
        table.add_row(*(escape(cell) for cell in row[: len(table.columns)]))
    console.print(table)
