"""docs/receive.py prints each event once, and refuses what was not signed for it."""

import socket
import subprocess
import sys
import time

import httpx

from service.api.webhooks.secrets import new_secret, sign
from service.jobs.webhooks import StoredSecret
from tests.conftest import wait_until


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_receiver_of_the_guide_prints_each_event_once_and_refuses_others(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secret, body = new_secret("v1"), b'{"type":"webhook.test"}'
    used = [StoredSecret(text=secret, until=None)]
    command = [sys.executable, "docs/receive.py", str(port), secret]
    with (tmp_path / "out").open("w+") as out, subprocess.Popen(command, stdout=out) as process:
        try:
            wait_until(lambda: _listens(port), seconds=30)

            def deliver(now: float, content: bytes = body) -> int:
                headers = sign(used, "msg_1", now, body)
                url = f"http://127.0.0.1:{port}/"
                return httpx.post(url, content=content, headers=headers).status_code

            assert deliver(time.time(), b"{}") == 400
            assert deliver(time.time() - 1000) == 400
            assert [deliver(time.time()) for _ in range(2)] == [204, 204]
            assert (tmp_path / "out").read_bytes() == body + b"\n"
        finally:
            process.kill()
