"""`python -m benchmarks.previews [--rounds N] [--models NAME …]`: what previews cost their job.

First in this process: of each method, the share of the job's CPU seconds and of its time that goes
into previews. Then in a set of its own, Redis, worker and API: the same job by turns alone and with
a client that follows its previews, the seconds of the engine and the CPU seconds of the worker.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep, thread_time

import httpx
import numpy as np
import psutil

from service.client import Client
from service.embedded.launcher import ListenAddress, local_set
from service.schemas.requests import ExplanationSettings
from service.schemas.results import Rectangle
from tests.encoded import encoded, noise
from worker.adapters.previews import encode_preview
from worker.engine.control import NullControl
from worker.engine.game.superpixels import PIXELS, Grid
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.preview import Preview
from worker.engine.request import Request, Top
from worker.engine.scoring.cpu_count import CPU_COUNT
from worker.engine.scoring.driver import explain
from worker.models.loading import LoadedModel
from worker.models.registry import BUNDLED, read_registry
from worker.preview_throttle import PreviewThrottle

EVALUATIONS = {"imagenet": 1000, "cifar10": 6000, "fashion_mnist": 6000}  # by model
METHODS = ("partition", "permutation", "kernel", "gaussian_process")
MOST = {"gaussian_process": 1500}  # evaluations; its own fit takes seconds
SQUARES = 7  # in a row and column; Partition plays with pixels
CROP = Rectangle(left=0, top=0, right=1, bottom=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.previews", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=list(EVALUATIONS))
    options = parser.parse_args()
    print(f"{CPU_COUNT} cores, load {os.getloadavg()[0]:.1f}; {options.rounds} rounds, by turns")
    with tempfile.TemporaryDirectory() as folder:
        registry = read_registry(BUNDLED, weights_cache=Path(folder))
        for name in options.models:
            registry.load(name)
            for method in METHODS:
                _measure_share(registry.get(name), name, method)
    with (
        tempfile.TemporaryDirectory() as folder,
        local_set(Path(folder), ListenAddress("127.0.0.1", 0, None), lambda _: None) as (url, _),
        Client(url, timeout=600, headers={"Cache-Control": "no-cache"}) as client,
    ):
        while any(card.status == "loading" for card in client.models().items):
            sleep(0.1)
        for model in options.models:
            for method in METHODS:
                _measure_by_turns(client, url, options.rounds, model, method)


def _evaluations(model: str, method: str) -> int:
    return min(EVALUATIONS[model], MOST.get(method, EVALUATIONS[model]))


class _Watching(NullControl):
    """Makes the previews of a worker whose client watches, and takes their time."""

    def __init__(self, labels: list[str]) -> None:
        self._labels = labels
        self.count, self.cpu_s, self.wall_s = 0, 0.0, 0.0
        self._throttle = PreviewThrottle()

    def offer(self, make: Callable[[], Preview | None]) -> None:
        if not self._throttle.is_due():
            return
        cpu, wall = thread_time(), perf_counter()
        with self._throttle.making():
            preview = make()
            if preview:
                encode_preview(preview, self._labels, CROP)
                self.count += 1
        self.cpu_s += thread_time() - cpu
        self.wall_s += perf_counter() - wall


def _measure_share(model: LoadedModel, name: str, method: str) -> None:
    evaluations = _evaluations(name, method)
    shape = model.predictor.input_shape
    picture = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    superpixels = PIXELS if method == "partition" else Grid(SQUARES, SQUARES)
    request = Request(
        method, MaskerSpec("mean", ()), Top(4), max_evals=evaluations, superpixels=superpixels
    )
    control = _Watching(model.labels)
    cpu, wall = process_time(), perf_counter()
    explain(model.predictor, picture, request, control=control)
    cpu, wall = process_time() - cpu, perf_counter() - wall
    print(
        f"{name + ' ' + method:<32} {wall:5.1f} s; {control.count} previews of "
        f"{1000 * control.cpu_s / max(1, control.count):.1f} ms of CPU: "
        f"{control.cpu_s / cpu:.2%} of the CPU seconds, {control.wall_s / wall:.2%} of the time",
        flush=True,
    )


def _measure_by_turns(client: Client, url: str, rounds: int, model: str, method: str) -> None:
    settings: dict[str, object] = {
        "model": model,
        "method": method,
        "masker": "mean",
        "outputs": {"top": 4},
    }
    if method != "partition":
        settings["superpixels"] = {"kind": "grid", "rows": SQUARES, "columns": SQUARES}
    asked = ExplanationSettings.model_validate(
        settings | {"max_evals": _evaluations(model, method)}
    )
    children = psutil.Process().children(recursive=True)
    [worker] = [each for each in children if "worker.main" in each.cmdline()]
    photo = encoded(noise(400, 300), "PNG")
    client.explain(photo, asked)  # warms up
    walls: dict[bool, list[float]] = {False: [], True: []}
    cpus: dict[bool, list[float]] = {False: [], True: []}
    previews = 0
    for turn in range(2 * rounds):
        watched = turn % 4 in (1, 2)  # so that a trend weighs on neither
        before = worker.cpu_times()
        explanation = client.submit(photo, asked)
        if watched:
            previews += _follow(f"{url}/v1/explanations/{explanation.id}/events?previews=true")
        done = client.wait(explanation.id, timeout_s=600)
        after = worker.cpu_times()
        assert done.timings
        walls[watched].append(done.timings.engine_s)
        cpus[watched].append(after.user + after.system - before.user - before.system)
    wall, cpu = (median(each[True]) / median(each[False]) for each in (walls, cpus))
    print(
        f"{model + ' ' + method:<32} {median(walls[False]):5.1f} s, {median(cpus[False]):5.1f} s of"
        f" CPU; with {previews / rounds:.0f} previews: time x {wall:.3f}, CPU x {cpu:.3f}",
        flush=True,
    )


def _follow(address: str) -> int:
    """Count the previews of a stream until its end."""
    with httpx.stream("GET", address, timeout=600) as stream:
        return sum(line == "event: preview" for line in stream.iter_lines())


if __name__ == "__main__":
    main()
