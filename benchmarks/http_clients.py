"""HTTP clients that use little CPU, so that the API is measured; one connection each."""

import asyncio
import re
import time
from contextlib import suppress

HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_ETAG = re.compile(rb"etag: (\S+)", re.IGNORECASE)
BOUNDARY = "shapshot-load"


class Connection:
    """A persistent connection, with one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._etag = b""

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return the status and the body; 304 if nothing has changed since the last GET."""
        known = b"If-None-Match: " + self._etag + b"\r\n" if self._etag else b""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + known + b"\r\n")
        return await self._answer()

    async def post(self, picture: bytes) -> tuple[int, bytes]:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n'
        body = head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
        self._writer.write(
            f"POST /v1/explanations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode()
            + body
        )
        return await self._answer()

    async def _answer(self) -> tuple[int, bytes]:
        head = await self._reader.readuntil(HEAD_END)
        if found := _ETAG.search(head):
            self._etag = found[1]
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        return int(head[9:12]), body

    async def listen(self, path: str, end: float) -> int:
        """Read a stream until this time; return about how many events came."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        events = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(end - time.perf_counter()):
                while received := await self._reader.read(2**16):
                    events += received.count(b"event: ")
        return events

    def close(self) -> None:
        self._writer.close()


async def poll_often(
    port: int, id_: str, offset: float, every_s: float, end: float, times: list[float]
) -> None:
    """Poll at this interval; return milliseconds of each poll but the first, when streams open."""
    warm = time.perf_counter() + every_s
    connection = await Connection.open(port)
    await asyncio.sleep(offset * every_s)
    while (began := time.perf_counter()) < end:
        status, _ = await connection.get(f"/v1/explanations/{id_}")
        assert status in (200, 304), status
        if began > warm:
            times.append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(max(0, began + every_s - time.perf_counter()))
    connection.close()


async def follow(port: int, id_: str, end: float) -> None:
    """Read a stream of events until this time."""
    connection = await Connection.open(port)
    assert await connection.listen(f"/v1/explanations/{id_}/events", end)
    connection.close()
