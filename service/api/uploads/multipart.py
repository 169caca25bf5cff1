"""A streaming multipart/form-data reader, which refuses unexpected parts before storing them."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api.http.problems import ApiError
from service.schemas.documents import ErrorCode

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


@dataclass(frozen=True)
class PartSpec:
    """Limits on the parts of one name."""

    max_count: int = 1  # parts
    max_bytes: int | None = None  # of each; None: limited by the body only
    is_file: bool = True  # must have a filename


class Form(defaultdict[str, list[bytes]]):
    """The contents of the parts by name, in order of arrival."""

    def __init__(self) -> None:
        super().__init__(list)
        self.file_names = defaultdict[str, list[str]](list)  # as sent; empty: not a file


async def read_form(
    content_type: str, body: AsyncIterator[bytes], kinds: Mapping[str, PartSpec]
) -> Form:
    """Returns the parts. Raises ApiError."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise _malformed("Content-Type has no boundary")
    reader = _Reader(kinds)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async for chunk in body:
            parser.write(chunk)
    except FormParserError as error:
        raise _malformed(str(error)) from error
    if not reader.complete:
        raise _malformed("the closing boundary is missing")
    return reader.form


@dataclass
class _Reader:
    """Collects parts from the parser's callbacks, and checks them against `kinds`."""

    kinds: Mapping[str, PartSpec]
    form: Form = field(default_factory=Form)
    complete: bool = False
    _name: str = ""
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""
    _content: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self.on_part_begin,
            "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value,
            "on_header_end": self.on_header_end,
            "on_headers_finished": self.on_headers_finished,
            "on_part_data": self.on_part_data,
            "on_part_end": self.on_part_end,
            "on_end": self.on_end,
        }

    def on_part_begin(self) -> None:
        self._disposition, self._content = b"", bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _malformed("a part has no Content-Disposition header with a name")
        name = self._name = options[b"name"].decode("utf-8", "backslashreplace")
        kind = self.kinds.get(name)
        if kind is None:
            detail = f"unknown part {name[:100]}; accepted: {', '.join(self.kinds)}"
            raise ApiError(ErrorCode.BAD_REQUEST, detail, name[:100], name, list(self.kinds))
        if kind.is_file and b"filename" not in options:
            detail = f"the part {name} has no filename; send it as a file"
            raise ApiError(ErrorCode.BAD_REQUEST, detail, name)
        if len(self.form[name]) == kind.max_count:
            times = "twice" if kind.max_count == 1 else f"more than {kind.max_count} times"
            detail, accepted = f"the part {name} was sent {times}", {"maxItems": kind.max_count}
            raise ApiError(ErrorCode.BAD_REQUEST, detail, name, None, accepted)
        file_name = options.get(b"filename", b"").decode(errors="replace")
        self.form.file_names[name].append(file_name)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        max_bytes, length = self.kinds[self._name].max_bytes, len(self._content) + end - start
        if max_bytes is not None and length > max_bytes:
            detail = f"the part {self._name} is larger than {max_bytes} bytes"
            received, accepted = f"{length} bytes or more", {"maximum": max_bytes}
            raise ApiError(ErrorCode.TOO_LARGE, detail, self._name, received, accepted)
        self._content += memoryview(data)[start:end]

    def on_part_end(self) -> None:
        self.form[self._name].append(bytes(self._content))
        self._content = bytearray()

    def on_end(self) -> None:
        self.complete = True


def _malformed(reason: str) -> ApiError:
    return ApiError(ErrorCode.BAD_REQUEST, f"malformed multipart body: {reason}", "body")
