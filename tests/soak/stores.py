"""An S3 server for the soak, which can be frozen."""

import socket
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos.forkserver import Forked
from tests.conftest import wait_until

BUCKET = "artifacts"


class Bucket:
    """A bucket of moto's S3 server, run as a process; it keeps its data in memory alone.

    delay_s: pause before each request is handled.
    """

    def __init__(self, folder: Path, *, delay_s: float = 0) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.process = Forked(_serve, self._port, delay_s, environment={}, log=folder / "s3.log")
        wait_until(self._answers, seconds=60)

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the environment variables of the service's processes."""
        return {
            "SHAPSHOT_STORE_URL": f"s3://{BUCKET}/soak",
            "AWS_ENDPOINT_URL": self._address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "soak",
            "AWS_SECRET_ACCESS_KEY": "soak",  # moto takes any
        }

    @property
    def _address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _answers(self) -> bool:
        request = urllib.request.Request(f"{self._address}/{BUCKET}", method="PUT")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


def _serve(port: int, delay_s: float) -> None:
    # Slow, and needed by this process only
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    s3 = DomainDispatcherApplication(create_backend_app)

    def delayed(environ: Any, start_response: Any) -> Any:
        time.sleep(delay_s)
        return s3(environ, start_response)

    make_server("127.0.0.1", port, delayed, threaded=True).serve_forever()
