"""The start of a set waits for its processes over HTTP."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from service.embedded.launcher import CannotStartError, get_success, wait_for
from service.embedded.supervisor import Supervisor

STATUSES = [503, 200, 503]  # of an API that is ready once


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a server that answers with these statuses, and then with the last."""
    left = STATUSES.copy()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = left.pop(0) if len(left) > 1 else left[0]
            body = {"models": ["tiny"]} if status == 200 else {"code": "no_worker"}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/healthz/ready"
        server.shutdown()
        thread.join()


def test_the_answer_that_was_ready_is_returned_though_the_next_one_is_not(url: str) -> None:
    answer = wait_for("worker", lambda: get_success(url), Supervisor(), patience_s=60)
    assert answer.json() == {"models": ["tiny"]}
    assert answer.status_code == 200
    with pytest.raises(CannotStartError, match="worker was not ready after 0 s"):
        wait_for("worker", lambda: get_success(url), Supervisor(), patience_s=0)
