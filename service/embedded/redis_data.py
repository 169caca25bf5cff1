"""Finds the Redis data of a set, and an installed server that can read it.

An older Redis silently starts empty on the files of a newer one (6 on those of 7). So each folder
records the server that wrote it: in its file WRITTEN_BY, or by its name `redis-MAJOR` and content.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.embedded.redis_server import Server

WRITTEN_BY = "written-by"
MULTIPART_SINCE = (7,)  # the first Redis that writes the files of `appendonlydir`
# Valkey reads files of Redis up to this version; later files are readable by their own product only
VALKEY_FORKED_AT = (7, 2)
_FILES = ("appendonly.aof", "appendonlydir/*.aof", "appendonlydir/*.rdb", "dump.rdb")


class UnreadableDataError(Exception):
    """No installed server can read the data; the message says what to do."""


@dataclass(frozen=True)
class Data:
    """Redis data in a folder."""

    folder: Path
    product: str | None  # None: unknown
    version: tuple[int, ...]  # as far as known
    written_at: float  # seconds since the epoch

    def is_read_by(self, server: Server) -> bool:
        known = server.version[: min(2, len(self.version))]
        if self.product in (None, server.product):
            return known >= self.version[:2]
        return self.product == "Redis" and self.version[:2] <= VALKEY_FORKED_AT

    def is_of(self, server: Server) -> bool:
        """Return whether this server, or another patch release of it, wrote the data."""
        same = server.version[: min(2, len(self.version))] == self.version[:2]
        return same and self.product in (None, server.product)

    def __str__(self) -> str:
        return f"{self.product or 'Redis'} {'.'.join(map(str, self.version))}"


@dataclass(frozen=True)
class Choice:
    """The server to start, and its folder."""

    server: Server
    folder: Path
    unused: Sequence[Data]  # older data in other folders


def choose_folder(servers: Sequence[Server], home: Path) -> Choice:
    """Choose the latest data, and the server that wrote it or the first that can read it.

    Raises UnreadableDataError.
    """
    found = []
    for folder in home.glob("redis-*"):
        files = [file for pattern in _FILES for file in folder.glob(pattern)]
        full = [file.stat() for file in files if file.stat().st_size]
        if full:
            product, version = _writer(folder)
            found.append(Data(folder, product, version, max(each.st_mtime for each in full)))
    if not found:
        return Choice(servers[0], home / f"redis-{servers[0].version[0]}", [])
    last, *others = sorted(found, key=lambda data: data.written_at, reverse=True)
    readers = sorted(filter(last.is_read_by, servers), key=last.is_of, reverse=True)
    if not readers:
        raise UnreadableDataError(_refusal(last, others, servers))
    return Choice(readers[0], last.folder, others)


def record_writer(choice: Choice) -> None:
    """Record the server as the folder's writer; call it once the server has loaded the data."""
    draft = choice.folder / f"{WRITTEN_BY}.new"
    draft.write_text(f"{choice.server}\n")
    draft.replace(choice.folder / WRITTEN_BY)


def _writer(folder: Path) -> tuple[str | None, tuple[int, ...]]:
    """Read product and version of the writer from WRITTEN_BY, or from the folder's name.

    The version is raised if the content shows a newer Redis that exited before it was recorded.
    """
    product: str | None = None
    version: tuple[int, ...] = (0,)
    record = folder / WRITTEN_BY
    text = record.read_text() if record.exists() else ""
    if recorded := re.match(r"(Redis|Valkey) (\d+)\.(\d+)\.(\d+)$", text):
        product, version = recorded[1], tuple(map(int, recorded.groups()[1:]))
    elif named := re.fullmatch(r"redis-(\d+)", folder.name):
        version = (int(named[1]),)
    if (folder / "appendonlydir").exists():
        version = max(version, MULTIPART_SINCE)
    return product, version


def _refusal(last: Data, others: Sequence[Data], servers: Sequence[Server]) -> str:
    here = ", ".join(f"{server} ({server.binary})" for server in servers)
    needed = f"{last.product or 'Redis'} {'.'.join(map(str, last.version[:2]))}"
    instead = f"use {others[0].folder}, written by {others[0]}" if others else "start empty"
    return (
        f"the latest data, in {last.folder}, was written by {last}, and no server installed here "
        f"can read it: {here}. Put {needed} or newer on PATH (`apt-get install redis-server`), or "
        f"move that folder away to {instead}"
    )
