"""`python -m benchmarks.scores [--rounds N]`: scores of coalitions, from request to answer.

It starts its own set: Redis, worker and API. Each model explains a photo of 12 megapixels; then
coalitions of its regions are scored and painted over HTTP, never the same twice, while no other job
runs.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

from service.client import Client
from service.embedded.launcher import ListenAddress, local_set
from service.schemas.requests import ExplanationSettings, Slic
from service.schemas.scores import Coalition
from tests.encoded import encoded, noise
from worker.engine.scoring.cpu_count import CPU_COUNT

REGIONS = 40  # about


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print(f"{CPU_COUNT} cores, load {os.getloadavg()[0]:.1f}; {rounds} rounds, in ms")
    photo = encoded(noise(4000, 3000), "JPEG")
    with (
        tempfile.TemporaryDirectory() as folder,
        local_set(Path(folder), ListenAddress("127.0.0.1", 0, None), lambda _: None) as (url, _),
        Client(url, timeout=120) as client,
    ):
        while any(card.status == "loading" for card in client.models().items):
            sleep(0.1)
        for card in client.models().items:
            for masker in ("inpaint_telea", "mean"):
                if card.status == "available":
                    _measure(client, card.name, masker, photo, rounds)


def _measure(client: Client, model: str, masker: str, photo: bytes, rounds: int) -> None:
    slic = Slic(kind="slic", segments=REGIONS)
    settings = ExplanationSettings(
        model=model, masker=masker, method="kernel", superpixels=slic, max_evals=200
    )
    explanation = client.explain(photo, settings)
    coalitions = _coalitions(explanation.region_count or 0)
    requests: dict[str, Callable[[], Any]] = {
        "1 coalition": lambda: client.scores(explanation.id, [next(coalitions)]),
        "64 coalitions": lambda: client.scores(
            explanation.id, [next(coalitions) for _ in range(64)]
        ),
        "masked picture": lambda: client.masked_picture(explanation.id, next(coalitions)),
    }
    for name, ask in requests.items():
        seconds = sorted(_seconds(ask) for _ in range(rounds))
        found = f"{1000 * median(seconds):6.0f}, {1000 * seconds[0]:.0f} at best"
        print(f"{model:<14} {masker:<14} {name:<15} median {found}")


def _coalitions(regions: int) -> Iterator[Coalition]:
    """Yield coalitions that hide some regions, each once."""
    for hidden in range(1, regions):
        for each in combinations(range(regions), hidden):
            yield Coalition(hidden=list(each))


def _seconds(work: Callable[[], Any]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


if __name__ == "__main__":
    main()
