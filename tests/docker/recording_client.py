"""A client that records results, and checks later that it gets the same ones."""

import hashlib
import io
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from tests.docker.compose_set import wait_for
from tests.encoded import encoded, noise

URL = "/v1/explanations"
LONG = {"model": "cifar10", "max_evals": 500}


@dataclass(frozen=True)
class Found:
    """What the client has read of a finished explanation."""

    document: dict[str, Any]
    arrays: dict[str, str]  # a hash of each array's type, shape and bytes
    heatmap: str  # the hash of the PNG


class RecordingClient:
    """A client and the explanations that it has requested, by id."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.found: dict[str, Found] = {}

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._http.get(path, headers=headers).raise_for_status()

    def post(self, picture: bytes, **settings: Any) -> httpx.Response:
        files = {"image": ("picture", picture), "settings": (None, json.dumps(settings))}
        return self._http.post(URL, files=files).raise_for_status()

    def submit(self, seed: int) -> str:
        """Request a long explanation of a unique picture; return its id."""
        return str(self.post(encoded(noise(200, 160, seed=seed)), **LONG).json()["id"])

    def wait_until_running(self, jobs: int) -> None:
        wait_for(lambda: len(self.get(f"{URL}?status=running").json()["items"]) == jobs)

    def workers(self) -> int:
        """Count the live workers; 0 if the API is not ready."""
        with suppress(httpx.HTTPError):
            return int(self.get("/healthz/ready").json()["workers"])
        return 0

    def wait(self, explanation_id: str) -> Found:
        """Wait until it has succeeded, and record it; Redis may restart meanwhile."""
        document: dict[str, Any] = {}

        def done() -> bool:
            with suppress(httpx.TransportError):
                answer = self._http.get(f"{URL}/{explanation_id}", headers={"Prefer": "wait=10"})
                if answer.status_code < 500:
                    document.update(answer.raise_for_status().json())
            return bool(document.get("done"))

        wait_for(done)
        assert document["status"] == "succeeded", document
        self.found[explanation_id] = found = self.read(explanation_id)
        return found

    def read(self, explanation_id: str) -> Found:
        path = f"{URL}/{explanation_id}"
        with np.load(io.BytesIO(self.get(f"{path}/attributions?format=npz").content)) as archive:
            arrays = {name: _hashed_array(array) for name, array in archive.items()}
        heatmap = hashlib.sha256(self.get(f"{path}/heatmap.png").content)
        return Found(self.get(path).json(), arrays, heatmap.hexdigest())

    def listed(self) -> list[str]:
        """Return the ids on all pages, newest first."""
        ids: list[str] = []
        cursor = ""
        while True:
            page = self.get(f"{URL}?limit=20{cursor}").json()
            ids += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                return ids
            cursor = f"&cursor={page['next_cursor']}"

    def find_all(self, picture: bytes) -> None:
        """Check that all are unchanged and listed, and that an earlier picture hits the cache."""
        wait_for(lambda: self.workers() > 0)
        for explanation_id, known in self.found.items():
            assert self.read(explanation_id) == known, explanation_id
        assert sorted(self.listed()) == sorted(self.found)
        answer = self.post(picture)
        assert answer.status_code == 200, answer.text
        assert answer.json()["cached_from"] in self.found
        self.wait(answer.json()["id"])


def _hashed_array(array: np.ndarray) -> str:
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()
