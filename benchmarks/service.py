"""`python -m benchmarks.service [--rounds N]`: the overhead of the service over the engine.

It starts its own set, Redis, worker and API, and prints how long that took. Then small jobs go over
HTTP, in turns with the same explanation by the bare engine in this process. Last, it draws figures
of attributions of 224 x 224 pixels and four outputs.
"""

import argparse
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any

import numpy as np

from benchmarks.cases import Case, load
from benchmarks.contenders import ours
from service import render
from service.client import Client
from service.embedded.launcher import ListenAddress, local_set
from service.schemas.documents import Explanation
from service.schemas.requests import ExplanationSettings, Outputs
from tests.encoded import encoded

MASKER, MAX_EVALS = "blur(28,28)", 100
SMALL = Case("small", "fashion_mnist", MASKER, max_evals=MAX_EVALS)
SETTINGS = ExplanationSettings(
    model="fashion_mnist", masker=MASKER, max_evals=MAX_EVALS, outputs=Outputs(top=4)
)
PHASE = re.compile(r"(\w+)_s=(\S+)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        began = perf_counter()
        with local_set(Path(folder), ListenAddress("127.0.0.1", 0, None), lambda _: None) as (
            url,
            _,
        ):
            print(f"start of Redis, worker and API until ready: {perf_counter() - began:.1f} s")
            print(f"  the worker, in seconds: {_phases(Path(folder) / 'logs' / 'worker.log')}")
            with Client(url, timeout=60) as client:
                wait_for_all_models(client)
                _measure_jobs(client, rounds)
    _measure_drawing(rounds)


def _phases(log: Path) -> str:
    """Return the phases of the start that the worker reports."""
    [line] = [line for line in log.read_text().splitlines() if "imports_s=" in line]
    plain = re.sub(r"\x1b\[\d*m", "", line)
    return ", ".join(f"{phase} {seconds}" for phase, seconds in PHASE.findall(plain))


def wait_for_all_models(client: Client) -> None:
    while any(card.status == "loading" for card in client.models().items):
        sleep(0.1)


def _measure_jobs(client: Client, rounds: int) -> None:
    subject = load(SMALL)
    engine = ours(SMALL, subject)
    pictures = np.random.default_rng(0).integers(0, 256, (rounds + 1, *subject.picture.shape))
    bare: list[float] = []
    added: list[float] = []
    fetched: list[float] = []
    explanation = None
    for picture in pictures.astype(np.float32):  # never the same picture: no cache hits
        subject.picture[:] = picture
        bare.append(_seconds(lambda: engine(MAX_EVALS)))
        began = perf_counter()
        explanation = client.explain(encoded(picture[..., 0].astype(np.uint8)), SETTINGS)
        assert explanation.timings
        added.append(perf_counter() - began - explanation.timings.engine_s)
        client.attributions(explanation.id)
        fetched.append(perf_counter() - began - explanation.timings.engine_s)
    print(f"{MAX_EVALS} evaluations of {SMALL.model}, {MASKER}, {rounds} rounds")
    for what, seconds in {
        "bare engine in this process": bare,
        "POST to result, less engine": added,
        "and to its arrays": fetched,
    }.items():
        print(f"  {what:<34} {_in_ms(seconds[1:])}")  # without the first, which warms up both
    if explanation:
        _print_parts(explanation)


def _print_parts(explanation: Explanation) -> None:
    if explanation.timings:
        parts = explanation.timings.model_dump().items()
        print("  parts of the last, in ms:", ", ".join(f"{k} {1000 * v:.1f}" for k, v in parts))


def _measure_drawing(rounds: int) -> None:
    rng = np.random.default_rng(0)
    arrays = render.Attributions(
        values=rng.normal(size=(224, 224, 3, 4)).astype(np.float32),
        base_values=np.zeros(4, np.float32),
        data=rng.integers(0, 256, (224, 224, 3)).astype(np.float32),
        output_names=["tabby cat", "tiger cat", "Egyptian cat", "lynx"],
        output_indices=[281, 282, 285, 287],
    )
    drawings: dict[str, Callable[[], Any]] = {
        "figure, 4 outputs": lambda: render.figure(render.Row(arrays, scores=[0.25] * 4)),
        "overlay, 1 output": lambda: render.overlay(arrays.narrow([0])),
        "heat, 1 output": lambda: render.heat(arrays.narrow([0])),
    }
    print("drawing 224 x 224")
    for name, draw in drawings.items():
        draw()  # without reading fonts, which is done once
        print(f"  {name:<34} {_in_ms([_seconds(draw) for _ in range(rounds)])}")


def _seconds(work: Callable[[], Any]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def _in_ms(seconds: list[float]) -> str:
    slowest_tenth = quantiles(seconds, n=10)[-1]
    return f"median {1000 * median(seconds):6.1f} ms, 90th percentile {1000 * slowest_tenth:6.1f}"


if __name__ == "__main__":
    main()
