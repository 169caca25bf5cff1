"""The store on S3, healthy and with faults."""

import threading
from contextlib import ExitStack
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from service.infra.artifact_store import (
    CHUNK,
    DamagedArtifactError,
    MissingArtifactError,
    StoreError,
    StoreRefusedError,
    image_key,
    open_store,
)
from service.infra.artifacts import Artifact, AttemptArtifacts, read_in_chunks
from service.infra.deadlines import DeadlineThreads, StoreDeadlines
from service.infra.result_arrays import load_arrays, pack_arrays
from service.infra.settings.environment import SettingsError
from tests.api.conftest import EXPLAINED, some_arrays
from tests.faulty_store import FAILS, HALF, REFUSES, SILENT, faulty_store

SHORT = StoreDeadlines(connect_s=0.3, read_s=0.3, total_s=2)
KEY = image_key("exp_1")
CALLS = {
    "put": lambda store: store.put(KEY, b"content"),
    "get": lambda store: store.get(KEY),
    "get_ranges": lambda store: store.get_ranges(KEY, [(0, 5)]),
    "copy": lambda store: store.copy(KEY, image_key("exp_2")),
    "delete_explanation": lambda store: store.delete_explanation("exp_1"),
    "check": lambda store: store.check(),
}


@pytest.fixture
def on_s3(bucket, monkeypatch):
    """Opens a store on a real S3 server; by default an empty one."""
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)

    def at(url=""):
        return open_store(url or f"s3://artifacts/{uuid4().hex}")

    return at


@pytest.fixture
def faulty(monkeypatch):
    """Opens a store on a server with this fault; returns the server and the store."""

    def at(how, deadlines=SHORT):
        server = stack.enter_context(faulty_store(how))
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        return server, open_store("s3://bucket/prefix", deadlines)

    with ExitStack() as stack:
        yield at


# --- A server that is well


def test_content_is_stored_copied_listed_and_removed(on_s3):
    store = on_s3()
    store.check()
    store.put(KEY, b"a picture")
    store.copy(KEY, image_key("exp_10"))
    assert (store.get(KEY), store.size(KEY)) == (b"a picture", 9)
    [page] = store.pages("explanations")
    assert [entry.key for entry in page] == [KEY, image_key("exp_10")]
    store.delete_explanation("exp_1")
    store.delete_explanation("exp_1")
    assert store.get(image_key("exp_10")) == b"a picture"
    with pytest.raises(MissingArtifactError):
        store.get(KEY)


def test_large_content_is_transferred_in_parts(on_s3):
    store, content = on_s3(), bytes(range(256)) * (2 * CHUNK // 256) + b"and more"
    store.put(KEY, content)
    assert b"".join(read_in_chunks(store, KEY, Artifact.of(content))) == content


def test_an_output_is_read_alone_and_damage_is_found(on_s3):
    store = on_s3()
    content, index = pack_arrays(some_arrays())
    shape = some_arrays()["values"].shape
    stored = AttemptArtifacts(shape=shape, attributions=Artifact.of(content), blocks=index)
    store.put(KEY, content)
    told = list(EXPLAINED.items())
    alone = load_arrays(store, KEY, stored, told, [1], names=["values"])["values"]
    assert (alone[..., 0] == some_arrays()["values"][..., 1]).all()
    for damaged in (content[: len(content) // 2], b""):
        store.put(KEY, damaged)
        with pytest.raises(DamagedArtifactError):
            load_arrays(store, KEY, stored, told, [1])


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_bucket_is_not_a_missing_artifact(on_s3, call):
    with pytest.raises(StoreRefusedError, match="no such bucket") as refused:
        CALLS[call](on_s3("s3://no-bucket/prefix"))
    assert "s3://no-bucket/prefix at http://127.0.0.1" in refused.value.cause


# --- A server that is not


@pytest.mark.parametrize("call", CALLS)
def test_a_denied_request_is_not_repeated_and_names_the_bucket(faulty, call):
    server, store = faulty(REFUSES)
    with pytest.raises(StoreRefusedError, match="AccessDenied") as refused:
        CALLS[call](store)
    assert len(server.requests) == 1
    assert server.environment["AWS_ENDPOINT_URL"] in refused.value.cause
    assert "403" in refused.value.cause
    assert server.environment["AWS_ENDPOINT_URL"] not in str(refused.value)


def test_failed_calls_are_retried_a_limited_number_of_times(faulty):
    server, store = faulty(FAILS, StoreDeadlines(tries=3))
    with capture_logs() as lines, pytest.raises(StoreError, match="InternalError") as failed:
        store.get(KEY)
    assert [line["event"] for line in lines] == 2 * ["store call failed; retrying"]
    assert len(server.requests) == 3
    assert repr(KEY) in failed.value.cause
    assert "Out of order." in failed.value.cause


def test_a_call_that_succeeds_on_retry_is_no_failure(faulty):
    server, store = faulty(FAILS)
    seen = server.requests

    class Recovering(list):
        def append(self, line):
            super().append(line)
            server.fault = (200, b"the picture") if len(self) == 1 else server.fault

    server.requests = Recovering(seen)
    with capture_logs():
        found = [store.get(KEY)]
    assert found == [b"the picture"]


@pytest.mark.parametrize(
    ("how", "call"),
    [
        *((SILENT, call) for call in ("get", "get_ranges", "put", "check")),
        *((HALF, call) for call in ("get", "get_ranges")),  # valid as the response to a write
    ],
)
def test_a_silent_server_is_an_error_at_the_deadline(faulty, how, call):
    server, store = faulty(how)
    with capture_logs(), pytest.raises(StoreError, match="no response"):
        CALLS[call](store)
    assert len(server.requests) <= SHORT.tries


def test_an_unreachable_server_is_named_without_credentials(monkeypatch):
    with faulty_store(SILENT) as gone:
        environment = gone.environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("//", "//name:hush-hush@"))
    with pytest.raises(StoreError, match="Connection refused") as failed:
        open_store("s3://bucket/prefix", SHORT).check()
    assert environment["AWS_ENDPOINT_URL"].partition("//")[2] in failed.value.cause
    assert "hush-hush" not in failed.value.cause


def test_http_is_refused_unless_it_is_allowed(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "perhaps")
    with pytest.raises(SettingsError, match="AWS_ALLOW_HTTP"):
        open_store("s3://bucket/prefix")


# --- Calls that hang, such as those of a network file system


def test_a_limited_number_of_hanging_calls_is_abandoned():
    threads, freed, begun = DeadlineThreads(3), threading.Event(), []

    def hang():
        begun.append(1)
        freed.wait()

    for _ in range(3):
        with pytest.raises(TimeoutError, match="no response within"):
            threads.run(hang, within_s=0.05)
    with pytest.raises(TimeoutError, match="3 earlier calls have not returned"):
        threads.run(hang, within_s=0.05)
    assert len(begun) == 3
    freed.set()
    assert threads.run(lambda: "well again", within_s=20) == "well again"


def test_threads_are_reused_and_propagate_errors():
    threads, seen = DeadlineThreads(8), set()

    def note():
        seen.add(threading.get_ident())
        raise KeyError("mine")

    for _ in range(50):
        with pytest.raises(KeyError, match="mine"):
            threads.run(note, within_s=20)
    assert len(seen) <= 8
