"""`shapshot`: run everything on one machine, explain a picture, list the models."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import ValidationError
from pydantic_core import from_json
from rich.markup import escape
from rich.table import Table

from service.cli import keys
from service.cli.adopt import adopt_set
from service.cli.console import console, exit_with_error
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
from service.schemas.warnings import WarningCode

NOTES = (WarningCode.NO_STANDARD_ERRORS, WarningCode.COARSE_REGIONS)  # most results have them
SAMPLES = Path(__file__).parents[1] / "samples"
Url = Annotated[str, typer.Option(help="URL of the API.", envvar="SHAPSHOT_URL")]
ApiKey = Annotated[
    str | None, typer.Option(help="Key of the API, if it requires one.", envvar="SHAPSHOT_API_KEY")
]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Explains image classifiers over HTTP."
)
app.add_typer(keys.app, name="keys")
app.command(name="adopt")(adopt_set)


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
) -> None:
    """Start Redis, a worker and the API, explain a sample picture, and serve until Ctrl-C."""
    try:
        address = ListenAddress(host, port, keys_file)
        with local_set(data, address, _say, adopts=adopt) as (url, supervisor):
            if keys_file and not api_key:
                _say("The sample is not explained: this requires a key in SHAPSHOT_API_KEY")
            else:
                _explain_sample(url, data, api_key)
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


@app.command()
def explain(
    picture: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The picture.")],
    url: Url = "http://127.0.0.1:8000",
    model: Annotated[str | None, typer.Option(help="Name of a model.")] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="Fingerprint the model must have.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="For example kernel.")] = None,
    masker: Annotated[str | None, typer.Option(help="For example blur(16,16).")] = None,
    fit: Annotated[str | None, typer.Option(help="crop, stretch or pad.")] = None,
    top: Annotated[
        int | None, typer.Option(help="Number of outputs, highest scores first.")
    ] = None,
    max_evals: Annotated[int | None, typer.Option(help="Evaluations of the model.")] = None,
    settings: Annotated[str, typer.Option(help="Any other settings, as JSON.")] = "{}",
    label_map: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Your own superpixels: PNG or .npy."),
    ] = None,
    style: Annotated[str, typer.Option(help="figure, overlay or heat.")] = "figure",
    out: Annotated[Path, typer.Option(help="File for the heatmap.")] = Path("heatmap.png"),
    anew: Annotated[
        bool, typer.Option("--anew", help="Compute it even if a result exists.")
    ] = False,
    api_key: ApiKey = None,
) -> None:
    """Explain a picture with a running Shapshot and write its heatmap."""
    if fingerprint and not model:
        exit_with_error("--fingerprint pins the model named by --model; no --model was given")
    options = {
        "model": {"name": model, "fingerprint": fingerprint} if fingerprint else model,
        "method": method,
        "masker": masker,
        "fit": fit,
        "outputs": None if top is None else {"top": top},
        "max_evals": max_evals,
    }
    chosen = _settings(settings, options)
    with _client(url, api_key) as client:
        explanation = client.explain(picture, chosen, label_map=label_map, anew=anew)
        out.write_bytes(client.heatmap(explanation.id, style))
    _show(explanation, out)


@app.command()
def models(url: Url = "http://127.0.0.1:8000", api_key: ApiKey = None) -> None:
    """List the models of a running Shapshot."""
    with _client(url, api_key) as client:
        cards = client.models().items
    table = Table("model", "status", "input", "outputs", "about")
    for card in cards:
        shape = "x".join(map(str, card.input_shape or ()))
        about = card.reason or card.description or ""
        table.add_row(card.name, card.status, shape, str(card.output_count or ""), about)
    console.print(table)


@contextmanager
def _client(url: str, api_key: str | None) -> Iterator[Client]:
    """Open a client; print its errors, and those of files, on one line and exit."""
    try:
        with Client(url, api_key=api_key) as client:
            yield client
    except httpx.TransportError as error:
        exit_with_error(f"no answer from {url}: {error or type(error).__name__}")
    except (ShapshotError, httpx.HTTPError, OSError) as error:  # TimeoutError is an OSError
        exit_with_error(str(error))


def _settings(text: str, options: dict[str, Any]) -> ExplanationSettings:
    """Parse the JSON settings, overridden by single options."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return ExplanationSettings.model_validate(from_json(text) | given)
    except ValidationError as error:
        exit_with_error(_reason(error))
    except (ValueError, TypeError) as error:
        exit_with_error(f"--settings takes a JSON object; received {text[:200]!r} ({error})")


def _reason(error: ValidationError) -> str:
    """Describe the first invalid setting; after a pattern mismatch, by the field's description."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    of_pattern = first["type"] == "string_pattern_mismatch" and len(first["loc"]) == 1
    accepted = ExplanationSettings.model_fields[name].description if of_pattern else first["msg"]
    return f"{'.'.join(map(str, first['loc']))}: received {str(first['input'])[:200]!r}; {accepted}"


def _explain_sample(url: str, data: Path, api_key: str | None) -> None:
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
    _show(explanation, out, seconds)
    for card in cards:
        if card.status is ModelStatus.UNAVAILABLE:
            _say(f"Model {card.name} is not served: {card.reason}")


def _show(explanation: Explanation, out: Path, seconds: float | None = None) -> None:
    table = Table("class", "score", "base value", "sum of attributions")
    for output in explanation.outputs or []:
        numbers = (output.score, output.base_value, output.attribution_sum)
        table.add_row(output.label, *(f"{number:.4f}" for number in numbers))
    console.print(table)
    console.print("score = base value (all pixels hidden) + sum of attributions")
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    console.print(
        f"{explanation.progress.evaluations} evaluations of {explanation.model.name}{took}; "
        f"masker {explanation.settings.masker}"
    )
    for warning in explanation.warnings or []:
        name = "Note" if warning.code in NOTES else "[yellow]Warning[/yellow]"
        console.print(f"{name} ({warning.code}): {escape(warning.detail)}", soft_wrap=True)
    console.print(f"Heatmap: [bold]{out.resolve()}[/bold]", soft_wrap=True)
    console.print("Red raises the score of a class, blue lowers it.")


def _say(line: str) -> None:
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {escape(line)}", soft_wrap=True)
