"""`shapshot explain`: explain pictures with a running Shapshot, into a folder."""

import hashlib
import json
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import ValidationError
from pydantic_core import from_json
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from service.cli.connection import DEFAULT_URL, INTERRUPTED, PARTLY, ApiKey, Json, Url, connected
from service.cli.console import console, exit_with_error, print_json
from service.cli.result_folder import Entry, FolderError, ResultFolder, is_result
from service.cli.server_commands import id_table, top_of
from service.client import Client, ExplanationFailedError, ShapshotError
from service.client.calls import Format
from service.client.pictures import Picture, is_url
from service.images.formats.detection import FORMATS, kind_of
from service.infra.file_lock import locked
from service.schemas.documents import ErrorCode, Explanation
from service.schemas.requests import ExplanationSettings
from service.schemas.warnings import WarningCode

NOTES = (WarningCode.NO_STANDARD_ERRORS, WarningCode.COARSE_REGIONS)  # most results have them
SUFFIXES = {
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"),
    *(".avif", ".heic", ".heif"),
}
STDIN = "-"
HEAD = 4096  # bytes that tell the format
WINDOW = 16  # explanations queued or running at a time
OF_PICTURE = (  # others are of all pictures
    ErrorCode.INVALID_IMAGE,
    ErrorCode.INVALID_IMAGE_URL,
    ErrorCode.TOO_LARGE,
)
FULL = (ErrorCode.SHARE_FULL, ErrorCode.QUEUE_FULL)


class Style(StrEnum):
    """How a heatmap is drawn."""

    FIGURE = "figure"
    OVERLAY = "overlay"
    HEAT = "heat"
    INTERACTIONS = "interactions"


@dataclass(frozen=True)
class Source:
    """A picture to explain: a file, which is read when it is sent, standard input, or a URL."""

    name: str
    path: Path | None = None
    content: bytes = b""
    url: str | None = None  # the server fetches it

    @property
    def picture(self) -> Picture:
        return self.url or self.path or self.content

    def read(self) -> bytes:
        """Return what tells the picture from others: its contents, or its URL."""
        if self.url:
            return self.url.encode()
        return self.path.read_bytes() if self.path else self.content


def explain(
    pictures: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, folders of pictures, URLs that the server fetches, or - for stdin.",
        ),
    ],
    url: Url = DEFAULT_URL,
    model: Annotated[str | None, typer.Option(help="Name of a model.")] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="Fingerprint the model must have.")
    ] = None,
    compare_with: Annotated[
        str | None, typer.Option(help="Name of a second model, explained by the same coalitions.")
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
    style: Annotated[Style, typer.Option(help="How heatmaps are drawn.")] = Style.FIGURE,
    format: Annotated[
        Format | None, typer.Option(help="File format of heatmaps; png, or that of --out.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the results; or, of one picture, a .png, .svg or .pdf for its heatmap "
            "alone."
        ),
    ] = Path("shapshot-results"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --out if it exists.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Compute it even if a result exists.")
    ] = False,
    as_json: Json = False,
    api_key: ApiKey = None,
) -> None:
    """Explain pictures with a running Shapshot.

    Of each picture, the folder gets the heatmap, the arrays (npz), the document (JSON) and
    the regions (CSV), and a page of all, index.html. The same command again goes on where it
    stopped. Exit codes: 0 all are explained; 1 nothing could be done; 2 wrong usage; 3 some
    pictures could not be explained; 130 Ctrl-C.
    """
    if fingerprint and not model:
        exit_with_error("--fingerprint pins the model named by --model; no --model was given")
    options = {
        "model": {"name": model, "fingerprint": fingerprint} if fingerprint else model,
        "compare_with": compare_with,
        "method": method,
        "masker": masker,
        "fit": fit,
        "outputs": None if top is None else {"top": top},
        "max_evals": max_evals,
    }
    chosen = _settings(settings, options)
    sources = _sources(pictures)
    accepted = ", ".join(f".{each}" for each in get_args(Format))
    named: Format | None = next(
        (each for each in get_args(Format) if out.suffix.lower() == f".{each}"), None
    )
    if named:
        if format not in (None, named):
            exit_with_error(f"--out {out} is a file of format {named}; received --format {format}")
        if len(sources) > 1:
            exit_with_error(f"--out {out} is a file for one picture; received {len(sources)}")
        if out.exists() and not overwrite:
            exit_with_error(f"{out} exists; name another --out, or give --overwrite")
        _check_writable(out.parent)
        with connected(url, api_key, retry_s=30) as client:
            explanation = client.explain(sources[0].picture, chosen, label_map=label_map, anew=anew)
            out.write_bytes(client.heatmap(explanation.id, style, format=named))
        if as_json:
            print_json(explanation)
        else:
            show(explanation, out)
        return
    if out.suffix.lower() in SUFFIXES:
        exit_with_error(f"--out {out}: a heatmap alone is one of {accepted}; received {out.suffix}")
    _check_writable(out)
    with connected(url, api_key) as client:  # before anything is written: is it there?
        client.methods()
    try:
        folder = ResultFolder(out)
        with locked(out, wait=False), connected(url, api_key, retry_s=60) as client:
            run = _Run(client, folder, chosen, label_map, style, format or "png", anew)
            _explain_all(run, sources, as_json=as_json)
    except BlockingIOError:
        exit_with_error(f"another shapshot writes into {out}")
    except (FolderError, OSError) as error:
        exit_with_error(str(error))


class _Run:
    """One command: sends pictures, waits for them, and fills the folder."""

    def __init__(
        self,
        client: Client,
        folder: ResultFolder,
        settings: ExplanationSettings,
        label_map: Path | None,
        style: Style,
        format: Format,
        anew: bool,
    ) -> None:
        self.client, self.folder, self.anew = client, folder, anew
        self.style, self.format = style, format
        self._settings = settings
        self._label_map = label_map.read_bytes() if label_map else None
        regions = hashlib.sha256(self._label_map).hexdigest() if self._label_map else ""
        text = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
        self._digest = hashlib.sha256(f"{text} {regions}".encode()).hexdigest()

    def begin(self, source: Source) -> Entry:
        """Send a picture unless its result is here or on its way. Raises ShapshotError."""
        content = source.read()
        sha256 = hashlib.sha256(content).hexdigest()
        entry = self.folder.entry_of(source.name, sha256, self._digest)
        if entry.complete and not self.folder.path_of(entry, "json").exists():
            entry = replace(entry, status=None)  # its files were removed: fetch them again
        if entry.status and not entry.complete:  # it failed
            entry = self.folder.again(entry)
        if entry.complete or (entry.id and self._is_kept(entry)):
            return entry
        if entry.id:
            entry = self.folder.again(entry)
        picture = source.url or _Named(content, entry.picture)
        try:
            return self._submit(entry, picture)
        except ShapshotError as error:
            if error.problem.code == ErrorCode.GONE:  # sent before, and deleted since
                return self._submit(self.folder.again(entry), picture)
            raise

    def _is_kept(self, entry: Entry) -> bool:
        """Whether the server still has the explanation."""
        try:
            self.client.get(entry.id or "")
        except ShapshotError as error:
            if error.problem.code in (ErrorCode.NOT_FOUND, ErrorCode.GONE):
                return False
            raise
        return True

    def _submit(self, entry: Entry, picture: Picture) -> Entry:
        explanation = self.client.submit(
            picture,
            self._settings,
            label_map=self._label_map,
            anew=self.anew,
            idempotency_key=self.folder.key_of(entry),
        )
        entry = replace(entry, id=explanation.id)
        self.folder.save(entry)
        return entry

    def finish(self, entry: Entry, on_progress: Callable[[Explanation], object]) -> Entry:
        """Wait for an explanation and fetch its files; also another heatmap of one that is here."""
        drawn = entry.complete and (entry.style, entry.format) == (self.style, self.format)
        if drawn and self.heatmap_of(entry).exists():
            return entry
        explanation_id = entry.id or ""
        if not entry.complete:
            try:
                document = self.client.wait(explanation_id, on_progress=on_progress)
            except ExplanationFailedError as error:
                return self.fail(entry, error, status=error.explanation.status)
            self.folder.write(entry, "npz", self.client.attributions_npz(explanation_id))
            if document.region_count is not None:
                self.folder.write(entry, "csv", self.client.regions_csv(explanation_id))
            self.folder.write(entry, "json", document.model_dump_json(indent=2).encode())
        heatmap = self.client.heatmap(explanation_id, self.style, format=self.format)
        self.folder.write(entry, f"{self.style}.{self.format}", heatmap)
        entry = replace(entry, status="succeeded", style=self.style, format=self.format)
        self.folder.save(entry)
        return entry

    def heatmap_of(self, entry: Entry) -> Path:
        return self.folder.path_of(entry, f"{self.style}.{self.format}")

    def fail(self, entry: Entry, error: Exception, *, status: str = "refused") -> Entry:
        """Record why an entry has no result; the next run tries it again."""
        entry = replace(entry, status=status, error=str(error))
        self.folder.save(entry)
        return entry

    def entry_of(self, source: Source) -> Entry:
        sha256 = hashlib.sha256(source.read()).hexdigest()
        return self.folder.entry_of(source.name, sha256, self._digest)


class _Named:
    """Bytes with the name of their file, as an open file has both."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content, self.name = content, name

    def read(self) -> bytes:
        return self._content


def _explain_all(run: _Run, sources: Sequence[Source], *, as_json: bool) -> None:
    """Explain the pictures, a window of them at a time, and tell what became of them."""
    waiting, begun, ended = deque(sources), deque[Entry](), dict[str, Entry]()
    errors = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=errors, disable=as_json or not errors.is_terminal) as bars:
            whole = bars.add_task("pictures", total=len(sources))
            now = bars.add_task("", total=None, visible=False)

            def on_progress(document: Explanation) -> None:
                bars.update(
                    now,
                    description=f"{document.image.name} {document.status}",
                    completed=document.progress.evaluations,
                    total=document.progress.planned or None,
                    visible=True,
                )

            while waiting or begun:
                while waiting and len(begun) < WINDOW:
                    try:
                        begun.append(run.begin(waiting[0]))
                    except ShapshotError as error:
                        if error.problem.code in FULL and begun:
                            break  # one of ours has to end first
                        if error.problem.code not in OF_PICTURE:
                            raise
                        begun.append(run.fail(run.entry_of(waiting[0]), error))
                    waiting.popleft()
                entry = begun.popleft()
                if entry.status in (None, "succeeded"):
                    entry = run.finish(entry, on_progress)
                ended[entry.name] = entry
                bars.advance(whole)
    except KeyboardInterrupt:
        run.folder.write_page()
        stopped = f"Stopped after {len(ended)} of {len(sources)} pictures; the same command goes on"
        exit_with_error(stopped, code=INTERRUPTED)
    page = run.folder.write_page()
    _tell(run, list(ended.values()), page, as_json=as_json)
    if not all(entry.complete for entry in ended.values()):
        raise typer.Exit(PARTLY)


def _tell(run: _Run, entries: Sequence[Entry], page: Path, *, as_json: bool) -> None:
    folder = run.folder
    if as_json:
        items = [
            {
                "picture": entry.picture,
                "id": entry.id,
                "status": entry.status,
                "error": entry.error,
                "files": folder.files_of(entry),
            }
            for entry in entries
        ]
        print_json({"page": page, "items": items})
        return
    documents = {
        entry.name: Explanation.model_validate_json(folder.path_of(entry, "json").read_bytes())
        for entry in entries
        if entry.complete
    }
    if len(entries) == 1 and documents:
        [entry] = entries
        show(documents[entry.name], run.heatmap_of(entry))
    else:
        table = id_table(["picture", "id", "top class", "warnings"])
        for entry in entries:
            document = documents.get(entry.name)
            found = document.warnings or [] if document else []
            codes = ", ".join(each.code for each in found if each.code not in NOTES)
            table.add_row(
                escape(Path(entry.picture).name),
                entry.id or "",
                escape(top_of(document.outputs)) if document else f"[red]{entry.status}[/red]",
                codes if document else escape(entry.error or ""),
            )
        console.print(table)
        console.print(f"{len(documents)} of {len(entries)} pictures are explained.")
    console.print(f"All results: [bold]{page.resolve()}[/bold]", soft_wrap=True)


def _sources(pictures: Sequence[str]) -> list[Source]:
    """Find the pictures; exit if a named file is not one, or a folder has none."""
    found: list[Source] = []
    for picture in pictures:
        path = Path(picture)
        if is_url(picture):
            found.append(Source(picture, url=picture))
        elif picture == STDIN:
            source = Source("stdin", content=sys.stdin.buffer.read())
            _check_kind("standard input", source.content[:HEAD])
            found.append(source)
        elif path.is_dir():
            files = sorted(
                each
                for each in path.rglob("*")
                if each.suffix.lower() in SUFFIXES
                and not any(part.startswith(".") for part in each.relative_to(path).parts)
                and each.is_file()
                and not is_result(each)
            )
            if not files:
                exit_with_error(f"{path} has no pictures ({', '.join(sorted(SUFFIXES))})")
            found += [Source(str(each), each) for each in files]
        else:
            try:
                with path.open("rb") as file:
                    _check_kind(str(path), file.read(HEAD))
            except OSError as error:
                exit_with_error(str(error))
            found.append(Source(str(path), path))
    return found


def _check_kind(name: str, head: bytes) -> None:
    kind = kind_of(head)
    if kind not in FORMATS:
        accepted = ", ".join(FORMATS)
        exit_with_error(f"{name} is {kind or 'not a picture'}; accepted: {accepted}")


def _check_writable(folder: Path) -> None:
    """Exit unless files can be written into the folder, or it can be made."""
    present = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        if not present.is_dir():
            raise NotADirectoryError(
                f"{present} is a file; --out takes a folder, .png, .svg or .pdf"
            )
        probe = present / ".shapshot-probe"
        probe.touch(exist_ok=True)
        probe.unlink()
    except OSError as error:
        exit_with_error(f"--out {folder} cannot be written: {error}")


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


def _models(explanation: Explanation) -> str:
    compared = explanation.compared
    return f"{explanation.model.name}{f' and {compared.name}' if compared else ''}"


def show(explanation: Explanation, out: Path, seconds: float | None = None) -> None:
    """Print the outputs and warnings of an explanation, and the path of its heatmap."""
    table = Table("class", "score", "base value", "sum of attributions")
    for output in explanation.outputs or []:
        numbers = (output.score, output.base_value, output.attribution_sum)
        table.add_row(output.label, *(f"{number:.4f}" for number in numbers))
    console.print(table)
    console.print("score = base value (all pixels hidden) + sum of attributions")
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    console.print(
        f"{explanation.id}: "
        f"{explanation.progress.evaluations} evaluations of {_models(explanation)}{took}; "
        f"masker {explanation.settings.masker}",
        soft_wrap=True,
    )
    for warning in explanation.warnings or []:
        name = "Note" if warning.code in NOTES else "[yellow]Warning[/yellow]"
        console.print(f"{name} ({warning.code}): {escape(warning.detail)}", soft_wrap=True)
    console.print(f"Heatmap: [bold]{out.resolve()}[/bold]", soft_wrap=True)
    console.print("Red raises the score of a class, blue lowers it.")
