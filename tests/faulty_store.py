"""Stores with faults: a folder that is none, and an S3 server that refuses, fails, or is silent."""

import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

REFUSES = (403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
FAILS = (500, b"<Error><Code>InternalError</Code><Message>Out of order.</Message></Error>")
SILENT = "accepts, and never answers"
HALF = "sends half an answer, and no more"


class FaultyStore:
    """The server; `fault` may change at any time; `requests` are the first lines sent."""

    def __init__(self, fault: tuple[int, bytes] | str) -> None:
        self.fault = fault
        self.requests: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._clients: list[socket.socket] = []

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables of its clients."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._listening.getsockname()[1]}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "hush-hush",
        }

    def serve(self) -> None:
        """Serve until closed; then every open request ends."""
        with ThreadPoolExecutor(100) as threads:
            while True:
                try:
                    client, _ = self._listening.accept()
                except OSError:  # the socket was closed
                    break
                self._clients.append(client)
                threads.submit(self._answer, client)
            for client in self._clients:
                with suppress(OSError):  # the client has gone
                    client.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = client.recv(65536)
            self.requests.append(head.partition(b"\r\n")[0].decode())
            if self.fault == HALF:
                part = b"range: bytes=0-4" in head.lower()
                begun = b"206 Part\r\nContent-Range: bytes 0-4/5" if part else b"200 OK"
                client.sendall(b"HTTP/1.1 " + begun + b"\r\nContent-Length: 5\r\n\r\nab")
            elif isinstance(self.fault, tuple):
                status, body = self.fault
                begun = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n".encode()
                client.sendall(begun + b"Connection: close\r\n\r\n" + body)
                client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@contextmanager
def faulty_store(fault: tuple[int, bytes] | str) -> Iterator[FaultyStore]:
    store = FaultyStore(fault)
    serving = threading.Thread(target=store.serve, daemon=True)
    serving.start()
    try:
        yield store
    finally:
        store.close()
        serving.join()


def replace_by_file(folder: Path) -> None:
    """Replaces the store's folder by a file, although the app recreates the folder meanwhile."""
    while not folder.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(IsADirectoryError):
            folder.write_text("a file where the folder was")
