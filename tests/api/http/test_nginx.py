"""The API behind a real nginx, with the configuration from docs/operations.md."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.client import Client
from service.infra.settings.api import ApiSettings
from service.jobs.leases import Heartbeat
from service.jobs.records import ProgressCount
from tests.conftest import skip_or_raise, wait_until
from tests.encoded import encoded, noise
from tests.live import live_api

ROOT = "/shapshot"
GUIDE = Path(__file__).parents[3] / "docs" / "operations.md"


def configuration(folder: Path, *, port: int, api_port: int) -> str:
    """Returns a complete nginx.conf, with one process, around the guide's server block.

    It compresses streams, which delays events wherever X-Accel-Buffering does not prevent it.
    """
    [server] = re.findall(r"```nginx\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    for shown, here in (("listen 80;", f"listen 127.0.0.1:{port};"), (":8000/;", f":{api_port}/;")):
        assert server.count(shown) == 1
        server = server.replace(shown, here)
    packed = "gzip on; gzip_proxied any; gzip_min_length 0; gzip_types text/event-stream;"
    folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"{name}_temp_path {folder}/{name};" for name in folders)
    return f"""
        daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{}}
        http {{ access_log off; {packed} {paths} {server} }}
    """


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture
def store_url(folder) -> str:
    return f"file:{folder}/store"


@pytest.fixture(scope="module")
def lasting_url(redis_server, folder) -> Iterator[str]:
    """The URL of the API behind nginx."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        skip_or_raise(FileNotFoundError("nginx is not on PATH: apt-get install nginx-light"))
    settings = ApiSettings(
        redis_url=redis_server.url, store_url=f"file:{folder}/store", queue="test"
    )
    with live_api(settings, folder) as live, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        conf = folder / "nginx.conf"
        conf.write_text(configuration(folder, port=port, api_port=live.port))
        process = subprocess.Popen([nginx, "-c", conf, "-e", folder / "error.log"])
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: answers(url) or process.poll() is not None, seconds=20)
            assert process.poll() is None, (folder / "error.log").read_text()
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}{ROOT}/healthz/live").is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def http(lasting_url, fake_worker, new_card) -> Iterator[httpx.Client]:
    fake_worker.announce(new_card())
    with httpx.Client(base_url=lasting_url, timeout=30) as client:
        yield client


@pytest.fixture
def asked(http, photo) -> httpx.Response:
    return http.post(f"{ROOT}/v1/explanations", files={"image": ("p", photo)})


def test_links_in_responses_can_be_followed(http, asked, fake_worker):
    fake_worker.succeed(asked.json()["id"])
    found = http.get(asked.headers["location"])
    assert found.json()["links"]["self"] == asked.headers["location"]
    for link in found.json()["links"].values():
        assert http.get(link).is_success
    page = http.get(f"{ROOT}/docs").text
    for url in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert http.get(url).is_success
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}  # from an earlier proxy of the client
    assert http.get(f"{ROOT}/", headers=elsewhere).json()["links"]["docs"] == f"{ROOT}/docs"
    assert http.get(f"{ROOT}/openapi.json").json()["servers"] == [{"url": ROOT}]


def test_a_page_of_the_proxys_origin_may_send_requests(http, asked):
    page = str(http.base_url).rstrip("/")
    headers = {"Origin": page, "Sec-Fetch-Site": "same-origin"}
    assert http.post(asked.json()["links"]["cancel"], headers=headers).is_success


def test_events_come_one_by_one_while_the_job_runs(http, asked, fake_worker):
    explanation_id = asked.json()["id"]
    with http.stream("GET", asked.json()["links"]["events"]) as stream:
        statuses = (line for line in stream.iter_lines() if line.startswith("data: "))
        assert '"queued"' in next(statuses)
        attempt = fake_worker.begin(explanation_id)  # only a read event lets the job go on
        assert '"running"' in next(statuses)
        fake_worker.ledger.heartbeat(Heartbeat(explanation_id, attempt, ProgressCount(50, 100)))
        assert '"evaluations":50' in next(statuses)
        fake_worker.ledger.release(explanation_id, attempt)
        fake_worker.succeed(explanation_id)
        assert '"succeeded"' in [*statuses][-1]


def test_http_versions_and_head_behave_as_without_the_proxy(http, asked):
    path = asked.headers["location"]
    etag = http.get(path).headers["etag"]
    assert http.get(path, headers={"If-None-Match": etag}).status_code == 304
    head = http.head(path)
    assert (head.headers["etag"], head.content) == (etag, b"")
    assert head.headers["content-type"] == "application/json"


def test_the_largest_upload_goes_through_and_a_larger_one_is_refused_by_the_api(http):
    largest = encoded(noise(2600, 2560), "BMP")  # 19.97 million bytes of 20 MiB
    assert len(largest) > 19_900_000
    path = f"{ROOT}/v1/explanations"
    assert http.post(path, files={"image": ("p", largest)}).status_code == 202
    answer = http.post(path, files={"image": ("p", largest + bytes(2**20))})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_the_client_waits_for_a_result_through_the_proxy(lasting_url, http, fake_worker, photo):
    with Client(f"{lasting_url}{ROOT}", timeout=30) as client, ThreadPoolExecutor(1) as threads:
        queued = client.submit(photo)
        waiting = threads.submit(client.wait, queued.id)
        fake_worker.succeed(queued.id)
        assert waiting.result().links["self"] == f"{ROOT}/v1/explanations/{queued.id}"
        assert client.heatmap(queued.id).startswith(b"\x89PNG")
