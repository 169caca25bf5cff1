"""During an outage of the store, requests that need it fail soon, and all others succeed."""

import asyncio

import pytest

from service.infra.artifact_store import MAX_CONCURRENT_CALLS
from tests.conftest import wait_until
from tests.faulty_store import FAILS, HALF, REFUSES, SILENT, faulty_store

URL = "/v1/explanations"
SHORT = {"store_connect_s": 0.3, "store_read_s": 0.5, "store_total_s": 1.5}


@pytest.fixture
def on_faulty_store(start, settings, fake_worker, new_card, monkeypatch):
    """Starts the app on an S3 server with this fault; yields the server and a client."""

    def starting(server):
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        fake_worker.announce(new_card())
        return start(settings.model_copy(update={"store_url": "s3://bucket/prefix", **SHORT}))

    return starting


async def test_a_store_that_never_answers_delays_no_request_that_does_not_need_it(
    on_faulty_store, photo, refused, served, create
):
    known = await create()  # while the store is healthy
    with faulty_store(SILENT) as server:
        async with on_faulty_store(server) as api:
            uploads = [
                asyncio.create_task(api.post(URL, files={"image": ("p", photo)}))
                for _ in range(2 * MAX_CONCURRENT_CALLS + 10)
            ]
            await asyncio.to_thread(
                wait_until, lambda: len(server.requests) >= MAX_CONCURRENT_CALLS, seconds=20
            )
            begun = [
                await api.post(URL, files={"image": ("notes.txt", b"no picture")}),
                await api.post(URL, content=b"{", headers={"Content-Type": "application/json"}),
                await api.get(f"{URL}/{known}"),
                await api.get("/healthz/ready"),
            ]
            assert not all(upload.done() for upload in uploads)
            refused(begun[0], 415, "unsupported_media_type")
            refused(begun[1], 400, "bad_request")
            assert begun[2].status_code == 200
            refused(begun[3], 503, "store_unavailable")
            for upload in uploads:
                refused(await upload, 503, "store_unavailable")


@pytest.mark.parametrize("how", [REFUSES, FAILS, SILENT, HALF])
async def test_a_faulty_store_gives_503_whatever_its_fault(on_faulty_store, photo, refused, how):
    with faulty_store(how) as server:
        async with on_faulty_store(server) as api:
            refused(await api.get("/healthz/ready"), 503, "store_unavailable")
            problem = refused(
                await api.post(URL, files={"image": ("p", photo)}), 503, "store_unavailable"
            )
            assert server.environment["AWS_ENDPOINT_URL"] not in str(problem)
