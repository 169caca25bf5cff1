"""`python -m benchmarks.facade [--rounds N]`: what the calls of KServe and Vertex AI cost.

It starts its own set, Redis, worker and API. One small explanation is asked for again and again,
by turns at our own route with `Prefer: wait`, at that and then at its arrays, and at the two calls,
all answered from the cache: the worker, whose time is the same, takes no part. Then, in this
process: pictures of 224 x 224 as nested lists, and the maps of such a picture as JSON.
"""

import argparse
import base64
import io
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.service import wait_for_all_models
from service.api.facades.instances import read_instances
from service.api.results.array_formats import json_document
from service.client import Client
from service.embedded.launcher import ListenAddress, local_set
from tests.encoded import encoded

MODEL, MASKER, MAX_EVALS, OUTPUTS = "fashion_mnist", "mean", 60, {"top": 1}
SETTINGS = {"method": "partition", "masker": MASKER, "max_evals": MAX_EVALS, "outputs": OUTPUTS}
EXPLANATIONS = "/v1/explanations"
Body = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.facade", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        address = ListenAddress("127.0.0.1", 0, None)
        with local_set(Path(folder), address, lambda _: None) as (url, _):
            with Client(url, timeout=60) as client:
                wait_for_all_models(client)
            with httpx.Client(base_url=url, timeout=60, headers={"Prefer": "wait=60"}) as http:
                _measure_calls(http, rounds)
    _measure_lists(rounds)


def _measure_calls(http: httpx.Client, rounds: int) -> None:
    ways: dict[str, Callable[[str], Body]] = {
        "our POST with wait": lambda image: _ours(http, image, arrays=False),
        "and its arrays as JSON": lambda image: _ours(http, image, arrays=True),
        "KServe": lambda image: _kserve(http, image),
        "Vertex": lambda image: _vertex(http, image),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
    image = base64.b64encode(encoded(pixels)).decode()
    for _ in range(rounds + 1):
        for name, explain in ways.items():
            seconds[name].append(_seconds(partial(explain, image)))
    print(f"an explanation of {MODEL} from the cache, {rounds} rounds")
    print("  all times are the 10th, 50th and 90th percentile")
    for name, taken_s in seconds.items():
        print(f"  {name:<34} {_in_ms(taken_s[1:])}")  # without the first, which is computed


def _ours(http: httpx.Client, image: str, *, arrays: bool) -> Body:
    settings = SETTINGS | {"model": MODEL}
    found = _post(http, EXPLANATIONS, {"image": image, "settings": settings})
    if arrays:
        path = f"{found['links']['attributions']}?format=json"
        http.get(path).raise_for_status().json()
    return found


def _kserve(http: httpx.Client, image: str) -> Body:
    body = {"instances": [{"b64": image}], "parameters": SETTINGS}
    return _post(http, f"/v1/models/{MODEL}:explain", body)


def _vertex(http: httpx.Client, image: str) -> Body:
    body = {"instances": [{"b64": image}], "parameters": SETTINGS}
    return _post(http, f"/v1/projects/p/locations/l/endpoints/{MODEL}:explain", body)


def _post(http: httpx.Client, path: str, body: Body) -> Body:
    answer: Body = http.post(path, json=body).raise_for_status().json()
    return answer


def _measure_lists(rounds: int) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (224, 224, 3)).astype(np.uint8)
    fractions = (pixels / np.float32(255)).tolist()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=75)
    sent = {
        "a JPEG in base64": {"b64": base64.b64encode(file.getvalue()).decode()},
        "whole numbers": pixels.tolist(),
        "fractions": fractions,
    }
    print("a picture of 224 x 224 in colour, of noise, to a file")
    for name, instance in sent.items():
        body = json.dumps({"instances": [instance]}).encode()
        work = [_seconds(partial(read_instances, body)) for _ in range(rounds)]
        print(f"  {name:<34} {_in_ms(work)}, {len(body) / 1e6:.1f} MB")
    values = random.normal(size=(224, 224, 3)).astype(np.float32)
    print("the map of one output as JSON")
    for name, array in {"KServe, (H, W)": values.sum(axis=2), "Vertex, (H, W, C)": values}.items():
        size = sum(map(len, json_document(array)))
        work = [_seconds(partial(_whole, array)) for _ in range(rounds)]
        print(f"  {name:<34} {_in_ms(work)}, {size / 1e6:.1f} MB")


def _whole(array: NDArray[np.float32]) -> list[bytes]:
    return list(json_document(array))


def _seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def _in_ms(seconds: list[float]) -> str:
    fastest_tenth, *_, slowest_tenth = (1000 * each for each in quantiles(seconds, n=10))
    middle = 1000 * median(seconds)
    return f"{fastest_tenth:6.1f}, {middle:6.1f}, {slowest_tenth:6.1f} ms"


if __name__ == "__main__":
    main()
