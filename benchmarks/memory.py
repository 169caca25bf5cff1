"""`python -m benchmarks.memory`: peak memory of a worker and of the API for the largest requests.

A worker process explains with MobileNetV2 (224 x 224 x 3, random weights) as many outputs as are
accepted, by each method; the API then responds in every format, to one client at a time and to
several at once. Each line has the peak of each process (VmHWM) since the line before.
"""

import argparse
import io
import json
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.set_without_models import LoadSet, environment, load_set, process

LABELS = [str(index) for index in range(1000)]
MODELS = f"""default = "large"
[models.large]
application = "MobileNetV2"
weights = "none"
labels = {json.dumps(LABELS)}
"""
SLIC = {"kind": "slic"}
METHODS: dict[str, dict[str, Any]] = {
    "partition": {"max_evals": 100},
    "permutation": {"superpixels": SLIC, "max_evals": 202},
    "kernel": {"max_evals": 300},
    "gaussian_process": {"max_evals": 300},
}
AT_ONCE = 8
PHOTO = (8000, 6000)  # nearly as large as SHAPSHOT_MAX_PIXELS


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("methods", nargs="*", default=list(METHODS), metavar="METHOD")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, load_set(cores=None) as subject:
        models = Path(folder) / "models.toml"
        models.write_text(MODELS)
        variables = environment(subject.settings) | {"SHAPSHOT_MODELS": str(models)}
        with process([sys.executable, "-m", "worker.main"], variables) as worker:
            _measure(subject, worker, options.methods)


def _measure(subject: LoadSet, worker: int, methods: list[str]) -> None:
    api = httpx.Client(base_url=f"http://127.0.0.1:{subject.port}", timeout=600)
    while (status := _model(api)) != "available":
        assert status != "unavailable", api.get("/v1/models").text
        time.sleep(0.5)
    print(f"worker, its model loaded: {peak_mb(worker):.0f} MB")
    print(f"API, idle: {peak_mb(subject.api):.0f} MB")
    photo = _photo()
    for method in methods:
        asked = {"model": "large", "method": method, **METHODS[method]}
        top = _submit(api, photo, asked | {"outputs": {"top": 1000}})["accepted"]["maximum"]
        reset_peak(worker)
        explanation = _submit(api, photo, asked | {"outputs": {"top": top}})
        path = f"/v1/explanations/{explanation['id']}"
        while not (document := api.get(path, headers={"Prefer": "wait=60"}).json())["done"]:
            pass
        assert document["status"] == "succeeded", document["error"]
        print(f"{method}, {top} outputs: worker {peak_mb(worker):.0f} MB")
    outputs = [str(output["index"]) for output in document["outputs"]]
    asks = {
        "npz": f"{path}/attributions?format=npz",
        "npz of half": f"{path}/attributions?format=npz&output={'&output='.join(outputs[::2])}",
        "npy": f"{path}/attributions?format=npy",
        "json": f"{path}/attributions?format=json&output={'&output='.join(outputs[:13])}",
        "figure": f"{path}/heatmap.png",
        "figure, 4096 wide": f"{path}/heatmap.png?size=4096&output={'&output='.join(outputs[:12])}",
        "overlay": f"{path}/heatmap.png?style=overlay",
        "uploads": "",
    }
    for name, target in asks.items():
        for count in (1, AT_ONCE):
            reset_peak(subject.api)
            ask = partial(_read, api, target) if target else partial(_resend, api, photo)
            with ThreadPoolExecutor(count) as clients:
                statuses = clients.map(ask, range(count))
            print(f"{name}, {count} at once: API {peak_mb(subject.api):.0f} MB {Counter(statuses)}")


def _model(api: httpx.Client) -> str:
    cards = api.get("/v1/models").json()["items"]
    return next((card["status"] for card in cards if card["name"] == "large"), "absent")


def _submit(api: httpx.Client, photo: bytes, settings: dict[str, Any]) -> dict[str, Any]:
    files: dict[str, tuple[str | None, bytes | str]] = {
        "image": ("photo.jpg", photo),
        "settings": (None, json.dumps(settings)),
    }
    document: dict[str, Any] = api.post(
        "/v1/explanations", files=files, headers={"Cache-Control": "no-cache"}
    ).json()
    return document


def _resend(api: httpx.Client, photo: bytes, number: int) -> int:
    """Return another photo each time, which has to be decoded."""
    files = {"image": ("photo.jpg", photo + bytes([number]))}
    return api.post("/v1/explanations", files=files).status_code


def _read(api: httpx.Client, target: str, _number: int) -> int:
    """Read the whole response, and keep nothing."""
    with api.stream("GET", target) as answer:
        for _ in answer.iter_raw():
            pass
    return answer.status_code


def _photo() -> bytes:
    width, height = PHOTO
    rows, columns = np.mgrid[:height, :width].astype(np.uint16)
    pixels = np.stack([rows % 251, columns % 241, (rows + columns) % 239], axis=2)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=50)
    return file.getvalue()


def reset_peak(process_id: int) -> None:
    """Linux: proc(5), clear_refs."""
    Path(f"/proc/{process_id}/clear_refs").write_text("5")


def peak_mb(process_id: int) -> float:
    """Return the peak memory since then, in MB of 10^6 bytes."""
    status = Path(f"/proc/{process_id}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
