"""The internals of uvicorn and h11 that http/connection.py uses exist.

Their use is tested in tests/hostile, over real connections.
"""

import asyncio
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h11
import pytest
import uvicorn
from packaging.requirements import Requirement
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.api.http.connection import Connection, connections
from service.infra.settings.api import ApiSettings

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
OVERRIDDEN = sorted(
    name
    for name, member in vars(Connection).items()
    if inspect.isfunction(member) and not name.startswith("_")
)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_overridden_methods_exist_with_the_same_signature(name):
    ours, theirs = (inspect.signature(vars(each)[name]) for each in (Connection, H11Protocol))
    assert list(ours.parameters) == list(theirs.parameters)


def test_our_other_methods_are_called_by_uvicorn():
    assert {"send_400_response", "on_response_complete"} <= set(OVERRIDDEN)
    assert {"send_400_response", "on_response_complete", "next_event"} <= set(
        H11Protocol.handle_events.__code__.co_names
    )


async def test_attributes_read_from_connections_and_requests_exist():
    async def app(scope, receive, send):
        pass

    make = connections(ApiSettings())
    config = uvicorn.Config(app, http=make)
    protocol: Any = make(
        config=config, server_state=ServerState(), app_state={}, _loop=asyncio.get_running_loop()
    )
    assert {"conn", "loop", "transport", "cycle", "flow"} <= vars(protocol).keys()
    assert isinstance(protocol.conn, h11.Connection)
    assert protocol.conn.their_state is protocol.conn.our_state is h11.IDLE
    assert protocol.conn.trailing_data == (b"", False)
    set_at_first = set(RequestResponseCycle.__init__.__code__.co_names)
    assert {"disconnected", "message_event", "response_complete"} <= set_at_first


@pytest.mark.parametrize("name", ["uvicorn", "h11"])
def test_only_tested_versions_may_be_installed(name):
    wanted = map(Requirement, PROJECT["project"]["optional-dependencies"]["service"])
    [requirement] = [each for each in wanted if each.name == name]
    assert any(each.operator == "<" for each in requirement.specifier)
    assert version(name) in requirement.specifier
