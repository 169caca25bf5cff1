"""Spans of live processes as a collector receives them: the worker's under the request's."""

import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.deployed import deployed
from tests.e2e.pictures import SAMPLE
from tests.extras import import_or_skip

OUTSIDE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"  # W3C's example
WITHOUT_SDK = "import sys; sys.modules['opentelemetry.sdk'] = None; import runpy; "


class Collector:
    """A receiver of OTLP over HTTP."""

    def __init__(self) -> None:
        requests: Any = import_or_skip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        self.spans: list[tuple[str, Any]] = []  # with the name of the service
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = zlib.decompress(body, zlib.MAX_WBITS | 16)
                request = requests.ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    service = attributes_of(resource.resource)["service.name"]
                    for scope in resource.scope_spans:
                        spans.extend((service, span) for span in scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def attributes_of(what: Any) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in what.attributes
    }


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


def test_the_spans_of_the_worker_are_children_of_the_request_s(
    tmp_path: Path, redis_url: str, collector: Collector
) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with deployed(tmp_path, redis_url, **environment) as both:
        answer = httpx.post(
            f"{both.url}/v1/explanations?token=s3cr3t",
            files={"image": SAMPLE.read_bytes(), "settings": (None, '{"max_evals": 100}')},
            headers={"Prefer": "wait=60", "traceparent": OUTSIDE, "X-Request-ID": "case-A-17"},
            timeout=90,
        )
        both.stop()
    trace = [
        (service, span)
        for service, span in collector.spans
        if span.trace_id.hex() == OUTSIDE.split("-")[1]
    ]
    [(service, request)] = [pair for pair in trace if pair[1].name.startswith("POST")]
    assert service == "shapshot-api"
    assert request.name == "POST /v1/explanations"
    assert request.parent_span_id.hex() == OUTSIDE.split("-")[2]
    assert attributes_of(request)["http.response.status_code"] == 200
    assert "s3cr3t" not in str(collector.spans)
    children = [pair for pair in trace if pair[1].parent_span_id == request.span_id]
    assert {service for service, _ in children} == {"shapshot-worker"}
    by_name = {span.name: span for _, span in children}
    assert set(by_name) == {"fetch", "prepare", "engine", "store"}
    for span in by_name.values():
        marks = attributes_of(span)
        assert (marks["id"], marks["request_id"]) == (answer.json()["id"], "case-A-17")
        assert span.start_time_unix_nano < span.end_time_unix_nano
    starts = [
        by_name[name].start_time_unix_nano for name in ("fetch", "prepare", "engine", "store")
    ]
    assert starts == sorted(starts)
    assert not [span for _, span in collector.spans if "/healthz/ready" in span.name]


@pytest.mark.parametrize("module", ["service.api", "worker.main"])
def test_without_the_extra_a_process_says_what_to_install(tmp_path: Path, module: str) -> None:
    ended = run_without_sdk(tmp_path, module, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert ended.returncode == 1
    assert "pip install 'shapshot[otel]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_exporter_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_TRACES_EXPORTER": "zipkin",
    }
    ended = run_without_sdk(tmp_path, "service.api", **variables)
    assert ended.returncode == 1
    assert "OTEL_TRACES_EXPORTER is 'zipkin'; it must be otlp or none" in ended.stderr


def run_without_sdk(
    folder: Path, module: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    program = f"{WITHOUT_SDK}runpy.run_module({module!r}, run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SHAPSHOT_STORE_URL": f"file:{folder}", **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_a_process_without_tracing_imports_nothing_for_it(
    variables: dict[str, str],
) -> None:
    program = (
        "import sys\n"
        "from service.infra.settings.telemetry import TraceSettings\n"
        "from service.infra.tracing import open_tracer\n"
        "traces = open_tracer(TraceSettings(), 'test')\n"
        "with traces.span('a', None, {}): assert traces.traceparent() is None\n"
        "traces.close()\n"
        "print(*[name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == ""
