"""`shapshot`: run everything on one machine, explain pictures, list and change what is there."""

import time
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.markup import escape

from service.api.version import version
from service.cli import keeping_commands, keys, server_commands, signing_key, webhooks
from service.cli.adopt import adopt_set
from service.cli.audit import audit
from service.cli.connection import ApiKey, Json
from service.cli.console import console, exit_with_error, print_json
from service.cli.explain import explain, show
from service.cli.records import records
from service.cli.verify import verify
from service.client import Client, ShapshotError
from service.embedded.launcher import (
    CannotStartError,
    ListenAddress,
    Stopped,
    keep_running,
    local_set,
)
from service.embedded.redis_server import RedisNotFoundError
from service.infra.listen_address import InsecureBindError
from service.schemas.documents import Explanation
from service.schemas.models import ModelStatus
from service.schemas.requests import ExplanationSettings, Outputs, Slic

SAMPLES = Path(__file__).parents[1] / "samples"

app = typer.Typer(no_args_is_help=True, help="Explains image classifiers over HTTP.")
app.add_typer(keys.app, name="keys")
app.add_typer(signing_key.app, name="signing-key")
app.add_typer(webhooks.app, name="webhooks")
app.command(name="adopt")(adopt_set)
app.command()(explain)
app.command()(verify)
app.command(name="list")(server_commands.list_explanations)
for command in (
    server_commands.get,
    server_commands.wait,
    server_commands.cancel,
    server_commands.delete,
    server_commands.batches,
    server_commands.methods,
    server_commands.models,
    keeping_commands.hold,
    keeping_commands.release,
    keeping_commands.review,
    audit,
    records,
):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"shapshot {version()}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Explains image classifiers over HTTP."""


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of the API; 0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address of the API.")] = "127.0.0.1",
    data: Annotated[Path, typer.Option(help="Folder for results, logs and Redis.")] = Path("var"),
    once: Annotated[bool, typer.Option(help="Stop after explaining the sample.")] = False,
    keys_file: Annotated[
        Path | None,
        typer.Option(help="Keys file, see `shapshot keys`.", envvar="SHAPSHOT_KEYS_FILE"),
    ] = None,
    api_key: ApiKey = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Accept that Redis or the store has lost its data.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start Redis, a worker and the API, explain a sample picture, and serve until Ctrl-C."""
    try:
        address = ListenAddress(host, port, keys_file)
        with local_set(data, address, _say, adopts=adopt) as (url, supervisor):
            explanation = None
            if keys_file and not api_key:
                _say("The sample is not explained: this requires a key in SHAPSHOT_API_KEY")
            else:
                explanation = _explain_sample(url, data, api_key)
            if as_json:
                print_json({"url": url, "data": data.resolve(), "explanation": explanation})
            if not once:
                console.print(
                    f"Serving on [bold]{url}[/bold] (docs: {url}/docs). Ctrl-C stops.",
                    soft_wrap=True,
                )
                keep_running(supervisor, _say)
    except (KeyboardInterrupt, Stopped):
        console.print("Stopped.")
    except (CannotStartError, InsecureBindError, RedisNotFoundError) as error:
        exit_with_error(str(error))


def _explain_sample(url: str, data: Path, api_key: str | None) -> Explanation:
    sample, settings, out = SAMPLES / "cat.jpg", ExplanationSettings(), data / "heatmap.png"
    try:
        with Client(url, api_key=api_key, trust_env=False) as client:  # local: no proxy
            if any(card.default and card.name == "imagenet" for card in client.models().items):
                sample = SAMPLES / "coffee.jpg"
                settings = ExplanationSettings(
                    superpixels=Slic(kind="slic", segments=150, compactness=20, sigma=2),
                    masker="blur(56,56)",  # inpainting would take as long as the model
                    max_evals=300,
                    outputs=Outputs(top=2),
                )
            _say(f"Explaining the sample picture {sample.name} through POST {url}/v1/explanations")
            began = time.monotonic()
            explanation = client.explain(sample, settings)
            seconds = time.monotonic() - began
            out.write_bytes(client.heatmap(explanation.id))
            cards = client.models().items
    except (ShapshotError, httpx.HTTPError) as error:
        raise CannotStartError(f"the sample picture could not be explained: {error}") from error
    show(explanation, out, seconds)
    for card in cards:
        if card.status is ModelStatus.UNAVAILABLE:
            _say(f"Model {card.name} is not served: {card.reason}")
    return explanation


def _say(line: str) -> None:
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {escape(line)}", soft_wrap=True)
