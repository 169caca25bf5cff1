"""Zip archives with one form for the same files, so that a change of any byte is found.

Members are stored uncompressed and without dates, attributes and comments. Nothing that an archive
claims is trusted: what is read is written again and must be the same bytes.

APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping

MAX_BYTES = 2**31 + 2**26  # of those that the server makes
MAX_MEMBERS = 1100
NAME = re.compile(r"(reviews/)?[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")  # one folder, of reviews

VERSION, SIZES_FOLLOW = 20, 8
DAY_ONE = 0x0021  # 1 January 1980, the first that the format knows

Member = tuple[str, Iterable[bytes]]


class ArchiveError(Exception):
    """Bytes are no archive of this form."""


def write_archive(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield an archive of these files, by name and content, in their order."""
    directory, offset = [], 0
    for name, content in members:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not accepted as the name of a file in an archive")
        crc = size = 0
        head = _local_header(name)
        yield head
        for part in content:
            crc, size = zlib.crc32(part, crc), size + len(part)
            yield part
        yield struct.pack("<4sIII", b"PK\x07\x08", crc, size, size)
        directory.append(_directory_entry(name, crc, size, offset))
        offset += len(head) + size + 16
    listed = b"".join(directory)
    yield listed
    count = len(directory)
    yield struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(listed), offset, 0)


def read_archive(content: bytes) -> Mapping[str, bytes]:
    """Read an archive that `write_archive` wrote. Raises ArchiveError.

    Inflates nothing, and follows no name anywhere.
    """
    if len(content) > MAX_BYTES:
        raise ArchiveError(f"the archive has {len(content)} bytes; the most are {MAX_BYTES}")
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            listed = archive.infolist()
            if len(listed) > MAX_MEMBERS:
                raise ArchiveError(
                    f"the archive has {len(listed)} files; the most are {MAX_MEMBERS}"
                )
            for entry in listed:
                if not NAME.fullmatch(entry.filename):
                    raise ArchiveError(f"the archive has a file named {entry.filename[:100]!r}")
                if entry.filename in found:
                    raise ArchiveError(f"the archive has {entry.filename} twice")
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(content):
                    raise ArchiveError(f"{entry.filename} is compressed in the archive")
                found[entry.filename] = archive.read(entry)
    except ArchiveError:
        raise
    except Exception as error:  # zipfile raises many kinds for damaged archives
        raise ArchiveError(f"the archive is damaged, or is none: {error}") from error
    written = write_archive((name, [part]) for name, part in found.items())
    if b"".join(written) != content:
        raise ArchiveError("the archive is not in the form in which it was made")
    return found


def _local_header(name: str) -> bytes:
    encoded = name.encode()
    return struct.pack(
        "<4s5H3I2H",
        *(b"PK\x03\x04", VERSION, SIZES_FOLLOW, zipfile.ZIP_STORED, 0, DAY_ONE, 0, 0, 0),
        *(len(encoded), 0),
    ) + encoded  # fmt: skip


def _directory_entry(name: str, crc: int, size: int, offset: int) -> bytes:
    encoded = name.encode()
    return struct.pack(
        "<4s6H3I5H2I",
        *(b"PK\x01\x02", VERSION, VERSION, SIZES_FOLLOW, zipfile.ZIP_STORED, 0, DAY_ONE),
        *(crc, size, size, len(encoded), 0, 0, 0, 0, 0, offset),
    ) + encoded  # fmt: skip
