"""Commands that ask a running Shapshot: list, get, wait, cancel, delete, batches and catalogs."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from service.cli.connection import DEFAULT_URL, PARTLY, ApiKey, Json, Url, connected
from service.cli.console import console, exit_with_error, print_json
from service.client import Client, ExplanationFailedError, ShapshotError
from service.client.calls import ListOptions
from service.schemas.documents import Batch, BatchOverview, Explanation, Status
from service.schemas.results import OutputResult

Ids = Annotated[list[str], typer.Argument(help="Ids of explanations (exp_…) or batches (batch_…).")]
Limit = Annotated[int, typer.Option(min=1, help="Most items to list.")]
WIDE = 120  # columns of a terminal that has room for all columns of a table
ID_WIDTH = 38  # characters of the id of a batch
PAGE = 100  # items, the server's limit


def list_explanations(
    status: Annotated[str | None, typer.Option(help="For example running.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model.")] = None,
    method: Annotated[str | None, typer.Option(help="For example kernel.")] = None,
    label: Annotated[str | None, typer.Option(help="Label or index of the top class.")] = None,
    warning: Annotated[str | None, typer.Option(help="Code of a warning.")] = None,
    true_label: Annotated[
        str | None, typer.Option(help="Label or index of the true class.")
    ] = None,
    correct: Annotated[
        str | None, typer.Option(help="true, false, or null where it is not known.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Words of the file name.")] = None,
    review: Annotated[
        str | None, typer.Option(help="Last verdict: accept, reject, override, or none.")
    ] = None,
    held: Annotated[bool, typer.Option("--held", help="Only those that somebody holds.")] = False,
    batch: Annotated[str | None, typer.Option(help="Id of the batch.")] = None,
    owner: Annotated[str | None, typer.Option(help="Name of the owner.")] = None,
    fingerprint: Annotated[str | None, typer.Option(help="Fingerprint of the model.")] = None,
    masker: Annotated[str | None, typer.Option(help="For example blur(16,16).")] = None,
    picture: Annotated[str | None, typer.Option(help="SHA-256 of the picture's file.")] = None,
    created_after: Annotated[str | None, typer.Option(help="Such as 2026-07-01T00:00:00Z.")] = None,
    created_before: Annotated[
        str | None, typer.Option(help="Such as 2026-08-01T00:00:00Z.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE of the metadata; may be repeated.")
    ] = None,
    order: Annotated[str, typer.Option(help="newest or oldest first.")] = "newest",
    limit: Limit = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List explanations; all given filters select."""
    filters: dict[str, Any] = {
        "status": status,
        "model": model,
        "method": method,
        "label": label,
        "warning": warning,
        "true_label": true_label,
        "correct": correct,
        "name": name,
        "review": review,
        "held": "true" if held else None,
        "batch": batch,
        "owner": owner,
        "fingerprint": fingerprint,
        "masker": masker,
        "picture": picture,
        "created_after": created_after,
        "created_before": created_before,
        "metadata": metadata or None,
        "order": order,
    }
    options: ListOptions = {**filters, "limit": min(limit, PAGE)}  # type: ignore[typeddict-item]
    with connected(url, api_key) as client:
        total, found = 0, list[Explanation]()
        for page in client.pages(**options):
            total = page.total
            found += page.items
            if len(found) >= limit:
                break
    found = found[:limit]
    if as_json:
        print_json(found)
        return
    console.print(_explanation_table(found))
    console.print(f"{len(found)} of {total}")


def get(ids: Ids, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Show explanations or batches."""
    _each(ids, url, api_key, as_json, Client.get, Client.get_batch)


def wait(
    ids: Ids,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait for each.")] = 3600,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Wait until explanations or batches are done; exit code 3 if one has no whole result."""

    def wait_for(client: Client, explanation_id: str) -> Explanation:
        try:
            return client.wait(explanation_id, timeout_s=timeout_s)
        except ExplanationFailedError as error:
            return error.explanation

    def wait_for_batch(client: Client, batch_id: str) -> Batch:
        return client.wait_batch(batch_id, timeout_s=timeout_s)

    found = _each(ids, url, api_key, as_json, wait_for, wait_for_batch)
    statuses = {
        status
        for each in found
        for status, count in (
            each.counts.items() if isinstance(each, Batch) else [(each.status, 1)]
        )
        if count
    }
    if statuses - {Status.SUCCEEDED}:
        raise typer.Exit(PARTLY)


def cancel(ids: Ids, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Cancel explanations or batches; what is done stays."""
    _each(ids, url, api_key, as_json, Client.cancel, Client.cancel_batch)


def delete(ids: Ids, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Delete explanations or batches with their uploads and results; exit code 1 if one was not."""
    deleted, refused = list[str](), dict[str, ShapshotError]()
    try:
        with connected(url, api_key) as client:
            for each in ids:
                try:
                    (client.delete_batch if _is_batch(each) else client.delete)(each)
                except ShapshotError as error:
                    refused[each] = error
                    continue
                deleted.append(each)
                if not as_json:
                    console.print(f"Deleted {each}", soft_wrap=True)
    finally:  # also if the server no longer answers
        if as_json and deleted:
            left = [each for each in ids if each not in deleted]
            print_json({"deleted": deleted, "not_deleted": left})
    if refused:
        reasons = [f"did not delete {each}: {error}" for each, error in refused.items()]
        exit_with_error("\n".join(reasons), next(iter(refused.values())).problem)


def batches(
    owner: Annotated[str | None, typer.Option(help="Name of the owner.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List batches, newest first."""
    options: dict[str, Any] = {"owner": owner, "limit": min(limit, PAGE)}
    with connected(url, api_key) as client:
        page = client.list_batches(**options)
        found = list(page.items)
        while page.next_cursor and len(found) < limit:
            page = client.list_batches(**options, cursor=page.next_cursor)
            found += page.items
    found = list(islice(found, limit))
    if as_json:
        print_json(found)
        return
    console.print(_batch_table(found))
    console.print(f"{len(found)} of {page.total}")


def methods(as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the methods."""
    with connected(url, api_key) as client:
        found = client.methods()
    if as_json:
        print_json(found)
        return
    table = Table("method", "title", "what the values are")
    for card in found.items:
        table.add_row(card.name, card.title, card.solution_concept)
    console.print(table)


def models(as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the models of a running Shapshot."""
    with connected(url, api_key) as client:
        found = client.models()
    if as_json:
        print_json(found)
        return
    table = Table("model", "status", "input", "outputs", "about")
    for card in found.items:
        shape = "x".join(map(str, card.input_shape or ()))
        about = card.reason or card.description or ""
        table.add_row(card.name, card.status, shape, str(card.output_count or ""), about)
    console.print(table)


def _each(
    ids: list[str],
    url: str,
    api_key: str | None,
    as_json: bool,
    of_explanation: Callable[[Client, str], Explanation],
    of_batch: Callable[[Client, str], Batch],
) -> list[Explanation | Batch]:
    """Call the function that fits each id, and print what it returned."""
    with connected(url, api_key, retry_s=30) as client:
        found = [
            of_batch(client, each) if _is_batch(each) else of_explanation(client, each)
            for each in ids
        ]
    if as_json:
        print_json(found)
        return found
    if explanations := [each for each in found if isinstance(each, Explanation)]:
        console.print(_explanation_table(explanations))
    if several := [each for each in found if isinstance(each, Batch)]:
        console.print(_batch_table(several))
    return found


def _is_batch(id_: str) -> bool:
    return id_.startswith("batch_")


def top_of(outputs: list[OutputResult] | None) -> str:
    """Return label and score of the output with the highest score; empty without a result."""
    own = (output for output in outputs or [] if output.of == "model")
    top = max(own, key=lambda output: output.score, default=None)
    return f"{top.label} {top.score:.4f}" if top else ""


def _explanation_table(explanations: list[Explanation]) -> Table:
    columns = ["id", "status", "picture", "top class", "model", "method", "created"]
    table = id_table(columns if console.width >= WIDE else columns[:4])
    for each in explanations:
        row = (
            each.id,
            f"{each.status} ({each.error.detail})" if each.error else each.status,
            each.image.name or "",
            top_of(each.outputs),
            each.model.name,
            each.settings.method,
            f"{each.created_at:%Y-%m-%d %H:%M}",
        )
        table.add_row(*(escape(cell) for cell in row[: len(table.columns)]))
    return table


def id_table(columns: Sequence[str]) -> Table:
    """Return a table of which the column `id` is shown whole, to be copied."""
    table = Table(box=SIMPLE_HEAD)
    for name in columns:
        is_id = name == "id"
        table.add_column(name, no_wrap=is_id, min_width=ID_WIDTH if is_id else None)
    return table


def _batch_table(found: list[Batch] | list[BatchOverview]) -> Table:
    columns = ["id", "status", "pictures", "counts", "model", "created"]
    table = id_table(columns if console.width >= WIDE else columns[:4])
    for each in found:
        counts = ", ".join(f"{count} {status}" for status, count in each.counts.items() if count)
        created = f"{each.created_at:%Y-%m-%d %H:%M}"
        row = (each.id, each.status, str(each.size), counts, each.model.name, created)
        table.add_row(*(escape(cell) for cell in row[: len(table.columns)]))
    return table
