"""Events become documents: each once, over streams that end early."""

import json
from pathlib import Path

import pytest

from service.client import ShapshotError
from service.client.events import EventReader
from tests.client.test_retry import PROBLEM

EXAMPLES = Path(__file__).parents[2] / "openapi" / "examples"


def body_of(name: str) -> str:
    return json.dumps(json.loads((EXAMPLES / f"{name}.json").read_text())["response"]["body"])


def read(reader: EventReader, *lines: str) -> list[str]:
    """The statuses of the documents that lines give."""
    return [found.status for line in lines if (found := reader.read(line))]


def test_a_stream_that_was_cut_is_continued_and_no_event_comes_twice():
    reader, running = EventReader(), f"data: {body_of('status_running')}"
    assert reader.headers == {}
    assert read(reader, "id: 3", "event: progress", running, "") == ["running"]
    assert read(reader, ": ping", "", "id: 4", "event: progress") == []
    assert reader.headers == {"Last-Event-ID": "3"}
    reader.connected()
    assert read(reader, "id: 3", "event: progress", running, "") == []
    assert not reader.done
    done = f"data: {body_of('status_succeeded')}"
    assert read(reader, "id: 9", "event: done", done, "") == ["succeeded"]
    assert reader.done


def test_an_explanation_that_is_gone_raises_its_problem():
    gone = json.dumps(PROBLEM | {"status": 410, "detail": "it was deleted"})
    with pytest.raises(ShapshotError, match="it was deleted"):
        read(EventReader(), "event: gone", f"data: {gone}", "")
