"""`python -m benchmarks.previews [--rounds N]`: what previews cost the job that they show.

A set of its own is started, Redis, worker and API. Each job is done by turns alone and with a
client that follows its previews: the seconds of the engine, and the CPU seconds of the worker.
"""

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median
from time import sleep

import httpx
import psutil

from service.client import Client
from service.embedded.launcher import ListenAddress, local_set
from service.schemas.requests import ExplanationSettings
from tests.encoded import encoded, noise
from worker.engine.scoring.cpu_count import CPU_COUNT

SQUARES = {"kind": "grid", "rows": 7, "columns": 7}
JOBS = {  # by model: evaluations that take some 10 s, by Partition and by the other methods
    "imagenet": (1000, 1000),
    "cifar10": (20_000, 10_000),
    "fashion_mnist": (20_000, 20_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.previews", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=list(JOBS))
    options = parser.parse_args()
    print(f"{CPU_COUNT} cores, load {os.getloadavg()[0]:.1f}; {options.rounds} rounds, by turns")
    with (
        tempfile.TemporaryDirectory() as folder,
        local_set(Path(folder), ListenAddress("127.0.0.1", 0, None), lambda _: None) as (url, _),
        Client(url, timeout=600, headers={"Cache-Control": "no-cache"}) as client,
    ):
        while any(card.status == "loading" for card in client.models().items):
            sleep(0.1)
        for model in options.models:
            few, many = JOBS[model]
            _measure(client, url, options.rounds, model=model, max_evals=few, masker="mean")
            for method in ("permutation", "kernel"):
                _measure(
                    client,
                    url,
                    options.rounds,
                    model=model,
                    method=method,
                    max_evals=many,
                    masker="mean",
                    superpixels=SQUARES,
                )


def _measure(client: Client, url: str, rounds: int, **settings: object) -> None:
    photo = encoded(noise(400, 300), "PNG")
    asked = ExplanationSettings.model_validate(settings | {"outputs": {"top": 4}})
    [worker] = [
        each
        for each in psutil.Process().children(recursive=True)
        if "worker.main" in each.cmdline()
    ]
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
    name = f"{asked.model} {asked.method}"
    print(
        f"{name:<28} {median(walls[False]):5.1f} s, {median(cpus[False]):5.1f} s of CPU; "
        f"with {previews / rounds:.0f} previews wall x {wall:.3f}, CPU x {cpu:.3f}",
        flush=True,
    )


def _follow(address: str) -> int:
    """Count the previews of a stream until its end."""
    with httpx.stream("GET", address, timeout=600) as stream:
        return sum(line == "event: preview" for line in stream.iter_lines())


if __name__ == "__main__":
    main()
