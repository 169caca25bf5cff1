"""An S3 server for the pictures and arrays of a soak, which can be frozen."""

import socket
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.chaos.nursery import Forked
from tests.conftest import wait_until

BUCKET = "artefacts"


class Bucket:
    """A bucket of moto's S3 server, which is a process of its own: its memory is all it has."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.process = Forked(_serve, self._port, environment={}, log=folder / "s3.log")
        wait_until(self._answers, seconds=60)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process of the service is to know."""
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


def _serve(port: int) -> None:
    from moto.server import ThreadedMotoServer  # which takes a second, and is of this process only

    ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False).start()
    while True:
        time.sleep(3600)
