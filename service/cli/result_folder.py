"""The folder of `shapshot explain`: results by picture, a page, and what is known of each picture.

`shapshot.jsonl` has a line with the folder's token, and a line for each change of an entry; the
last one of a picture and its settings counts. An entry is written before its picture is sent, so
that the next run sends the same Idempotency-Key.
"""

import hashlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path

from service.schemas.documents import Explanation

STYLES = ("figure", "overlay", "heat", "interactions")  # of heatmaps
FORMATS = ("png", "svg", "pdf")
ENDINGS = (*(f"{style}.{format}" for style in STYLES for format in FORMATS), "npz", "json", "csv")
STATE, PAGE = "shapshot.jsonl", "index.html"


class FolderError(Exception):
    """The folder cannot take results; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A picture and settings, and how far their explanation is."""

    picture: str  # as it was named
    sha256: str
    settings: str  # digest of settings and label map
    name: str  # of its files, without their endings
    attempt: int = 1
    id: str | None = None
    status: str | None = None  # of the explanation when it ended; None: it has not
    style: str | None = None  # of the heatmap that is here
    format: str = "png"  # of this heatmap
    error: str | None = None

    @property
    def complete(self) -> bool:
        return self.status == "succeeded"


def is_result(path: Path) -> bool:
    """Whether the file is a heatmap that an earlier run wrote."""
    drawn = path.name.endswith(tuple(f".{each}" for each in ENDINGS))
    return drawn and path.with_name(STATE).exists()


class ResultFolder:
    """Results in a folder, which goes on where an earlier run stopped."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, or make it. Raises FolderError, OSError."""
        self.folder = folder
        self._state = folder / STATE
        self.entries: dict[tuple[str, str], Entry] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self._state.exists():
            self._token = self._read()
        elif (folder / PAGE).exists():
            raise FolderError(f"{folder} has an {PAGE} of something else; name another with --out")
        else:
            self._token = secrets.token_hex(16)
            self._append({"token": self._token})

    def _read(self) -> str:
        """Read the entries and return the token."""
        token = ""
        for line in self._state.read_text().splitlines():
            try:
                found = json.loads(line)
            except ValueError:  # an earlier run was killed while it wrote the line
                continue
            if "token" in found:
                token = found["token"]
            else:
                entry = Entry(**found)
                self.entries[entry.sha256, entry.settings] = entry
        if not token:
            raise FolderError(f"{self._state} has no token; name another folder with --out")
        return token

    def _append(self, line: dict[str, object]) -> None:
        with self._state.open("a") as file:
            file.write("\n" + json.dumps(line))
            file.flush()
            os.fsync(file.fileno())

    def entry_of(self, picture: str, sha256: str, settings: str) -> Entry:
        """Return the entry of a picture with these settings; a new one has a name of its own."""
        found = self.entries.get((sha256, settings))
        if found:
            return found
        stem = re.sub(r"[^\w.-]+", "_", Path(picture).stem).strip(".") or "picture"
        taken = {entry.name for entry in self.entries.values()}
        name, number = stem, 1
        while name in taken or any((self.folder / f"{name}.{each}").exists() for each in ENDINGS):
            number += 1
            name = f"{stem}-{number}"
        entry = Entry(picture, sha256, settings, name)
        self.save(entry)
        return entry

    def save(self, entry: Entry) -> None:
        self.entries[entry.sha256, entry.settings] = entry
        self._append(asdict(entry))

    def again(self, entry: Entry) -> Entry:
        """Return the entry for another attempt, with another key."""
        entry = replace(entry, attempt=entry.attempt + 1, id=None, status=None, error=None)
        self.save(entry)
        return entry

    def key_of(self, entry: Entry) -> str:
        """Return the Idempotency-Key: one for a picture, its settings and the attempt."""
        parts = (self._token, entry.sha256, entry.settings, str(entry.attempt))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def path_of(self, entry: Entry, ending: str) -> Path:
        return self.folder / f"{entry.name}.{ending}"

    def files_of(self, entry: Entry) -> list[Path]:
        """Return the files of an entry that are here."""
        return [path for each in ENDINGS if (path := self.path_of(entry, each)).exists()]

    def write(self, entry: Entry, ending: str, content: bytes) -> None:
        """Write a file of an entry, whole or not at all."""
        path = self.path_of(entry, ending)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(content)
        part.replace(path)

    def write_page(self) -> Path:
        """Write a page of all entries."""
        rows = "\n".join(self._row(entry) for entry in self.entries.values())
        path = self.folder / PAGE
        path.write_text(_PAGE.replace("{count}", str(len(self.entries))).replace("{rows}", rows))
        return path

    def _row(self, entry: Entry) -> str:
        picture = escape(entry.picture)
        if not entry.complete or not self.path_of(entry, "json").exists():
            why = escape(entry.error or entry.status or "not done")
            return f"<tr><td><td>{picture}<br><small>{entry.id or ''}</small><td colspan=3>{why}"
        document = Explanation.model_validate_json(self.path_of(entry, "json").read_bytes())
        outputs = sorted(document.outputs or [], key=lambda output: -output.score)
        classes = "<br>".join(f"{escape(each.label)} {each.score:.4f}" for each in outputs)
        warnings = "<br>".join(escape(each.detail) for each in document.warnings or [])
        files = [path.name for path in self.files_of(entry)]
        heatmap = f"{entry.name}.{entry.style}.{entry.format}"
        links = "<br>".join(f'<a href="{escape(file)}">{escape(file)}</a>' for file in files)
        alt = escape(f"Heatmap of {entry.picture}")
        image = f'<img src="{escape(heatmap)}" alt="{alt}" loading="lazy">'
        shown = alt if entry.format == "pdf" else image  # browsers show no PDF in a page
        return (
            f'<tr><td><a href="{escape(heatmap)}">{shown}</a>'
            f"<td>{picture}<br><small>{document.id}</small><td>{classes}<td>{warnings}<td>{links}"
        )


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Shapshot: {count} explanations</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif }
  body { margin: 1rem }
  table { border-collapse: collapse }
  th, td { padding: .5rem; border-bottom: 1px solid #8888; text-align: left; vertical-align: top }
  td { overflow-wrap: anywhere }
  img { width: 20rem; max-width: 40vw }
</style>
<h1>{count} explanations</h1>
<p>Red raises the score of a class, blue lowers it.
<table>
<thead><tr><th>heatmap<th>picture<th>classes and scores<th>warnings<th>files
<tbody>
{rows}
</table>
</html>
"""
