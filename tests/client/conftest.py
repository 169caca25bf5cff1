"""What the tests of the client take from those of the API, and the app on a port of its own."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from service.api.app import create_app
from service.api.services import ProcessServices
from service.client import AsyncClient, Client
from service.infra.settings.api import ApiSettings
from tests.api.conftest import fake_worker
from tests.conftest import wait_until

__all__ = ["fake_worker"]
TLS = ssl.create_default_context()  # reading the certificates takes longer than a request


@contextmanager
def serving(settings: ApiSettings) -> Iterator[str]:
    """The app, served by a thread of this process; its URL."""
    config = uvicorn.Config(create_app(ProcessServices.of(settings)), port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, seconds=60)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def url(settings: ApiSettings) -> Iterator[str]:
    with serving(settings) as url:
        yield url


@pytest.fixture(params=["blocking", "async"])
def asking(request) -> Callable[..., Any]:
    """Calls a method of one client or the other, by URL and name."""

    def blocking(url: str, name: str, *args: Any, **options: Any) -> Any:
        with Client(url, verify=TLS, timeout=240) as client:
            called = getattr(client, name)(*args, **options)
            return list(called) if isinstance(called, Iterator) else called

    async def awaited(url: str, name: str, *args: Any, **options: Any) -> Any:
        async with AsyncClient(url, verify=TLS, timeout=240) as client:
            called = getattr(client, name)(*args, **options)
            if isinstance(called, AsyncIterator):
                return [each async for each in called]
            return await called

    return (
        blocking if request.param == "blocking" else lambda *a, **o: asyncio.run(awaited(*a, **o))
    )


@pytest.fixture
def ask(asking, url: str, fake_worker, new_card) -> Callable[..., Any]:
    """Call a method of one client or the other, by name."""
    fake_worker.announce(new_card())
    return lambda *args, **options: asking(url, *args, **options)
