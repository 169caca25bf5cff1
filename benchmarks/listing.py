"""`python -m benchmarks.listing [--kept N] [--rounds N]`: pages of the lists, through the API.

N explanations of ten owners are kept; the API and Redis are processes on loopback. Printed are
milliseconds for a page of 20, the number of explanations that a query selects, and the longest time
that one command blocked Redis.
"""

import argparse
import os
import random
from statistics import median
from time import perf_counter

import httpx

from benchmarks.set_without_models import LoadSet, load_set
from service.jobs.redis_keys import new_batch_id, new_id
from service.schemas.documents import ClassName, ErrorCode, Failure, Status
from tests.tiny import MODEL, OUTCOME, SPEC, output_result
from worker.engine.scoring.cpu_count import CPU_COUNT

FAILED = Failure(code=ErrorCode.DEADLINE_EXCEEDED, detail="it took too long")
IN_BATCH = 8  # explanations
QUERIES = {
    "all": {},
    "the oldest": {"order": "oldest"},
    "status=succeeded": {"status": "succeeded"},
    "status=failed": {"status": "failed"},
    "model and status": {"model": "model-3", "status": "succeeded"},
    "three of all": {"method": "partition", "masker": "inpaint_telea", "owner": "owner-1"},
    "label": {"label": "label-7"},
    "metadata": {"metadata": "project=12"},
    "correct": {"correct": "false"},
    "true_label": {"true_label": "label-7"},
    "name": {"name": "photo 12"},
    "correct, true_label and name": {"correct": "false", "true_label": "7", "name": "photo"},
    "two that exclude each other": {"label": "label-7", "status": "queued"},
    "five": {
        **{"status": "succeeded", "model": "model-3", "label": "label-7", "owner": "owner-1"},
        **{"metadata": "project=12"},
    },
    "nothing": {"picture": "f" * 64, "status": "succeeded"},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.listing", description=__doc__)
    parser.add_argument("--kept", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    print(f"{CPU_COUNT} cores, load {os.getloadavg()[0]:.1f}; {options.rounds} rounds")
    with load_set(cores=None) as subject:
        before = subject.redis.info("memory")["used_memory"]
        _fill(subject, options.kept)
        taken = subject.redis.info("memory")["used_memory"] - before
        index = sum(
            subject.redis.memory_usage(key) or 0
            for key in subject.redis.scan_iter("shapshot:index:*", 1000)
        )
        kilobytes = [size / options.kept / 1000 for size in (taken, index)]
        print("Redis takes {:.1f} kB an explanation, of these {:.1f} the index".format(*kilobytes))
        subject.redis.config_set("slowlog-log-slower-than", 0)
        with httpx.Client(base_url=f"http://127.0.0.1:{subject.port}", timeout=60) as client:
            for name, query in QUERIES.items():
                _measure(subject, client, "/v1/explanations", name, query, options.rounds)
            _measure(subject, client, "/v1/batches", "batches", {}, options.rounds)


def _fill(subject: LoadSet, kept: int) -> None:
    """Record explanations: nine of ten succeeded, one of twenty failed or waits."""
    lots = random.Random(0)  # noqa: S311
    while kept > 0:
        in_batch = lots.random() < 0.02
        batch = new_batch_id() if in_batch else None
        name = f"model-{lots.randrange(4)}"
        settings = SPEC.settings.model_copy(
            update={"metadata": {"project": lots.randrange(50), "run": lots.randrange(1000)}}
        )
        file = {
            "sha256": f"{lots.getrandbits(256):064x}",
            "name": f"photo {lots.randrange(100)}.jpg",
        }
        image = SPEC.image.model_copy(update=file)
        truth = lots.randrange(100)
        spec = SPEC.model_copy(
            update={
                "settings": settings,
                "image": image,
                "batch": batch,
                "true_label": ClassName(index=truth, label=f"label-{truth}")
                if truth < 50
                else None,
                "owner": f"owner-{lots.randrange(10)}",
                "model": MODEL.model_copy(update={"name": name}),
            }
        )
        ids = [new_id() for _ in range(IN_BATCH if batch else 1)]
        if batch:
            subject.ledger.accept_batch(batch, dict.fromkeys(ids, spec), timeout_s=60)
        else:
            subject.ledger.accept(ids[0], spec, timeout_s=60)
        for id_ in ids:
            _end(subject, id_, name, lots)
        kept -= len(ids)


def _end(subject: LoadSet, id_: str, name: str, lots: random.Random) -> None:
    draw = lots.random()
    if draw < 0.05:
        return
    attempt = subject.ledger.begin(id_)
    assert attempt
    if draw < 0.1:
        subject.ledger.finish(id_, attempt, Status.FAILED, error=FAILED)
        return
    outputs = [output_result(n, f"label-{n}") for n in lots.sample(range(100), 4)]
    found = {"outputs": outputs, "model": MODEL.model_copy(update={"name": name})}
    outcome = OUTCOME.model_copy(update=found)
    subject.ledger.finish(id_, attempt, Status.SUCCEEDED, outcome=outcome)


def _measure(
    subject: LoadSet,
    client: httpx.Client,
    path: str,
    name: str,
    query: dict[str, str],
    rounds: int,
) -> None:
    subject.redis.slowlog_reset()
    seconds, page = [], {"total": 0, "items": []}
    for _ in range(rounds):
        began = perf_counter()
        answer = client.get(path, params=query)
        seconds.append(perf_counter() - began)
        page = answer.raise_for_status().json()
    slow = max(entry["duration"] for entry in subject.redis.slowlog_get(128)) / 1000
    print(
        f"{name:<28} {page['total']:>6} selected: median {1000 * median(seconds):6.1f} ms, "
        f"worst {1000 * max(seconds):6.1f}; Redis at once {slow:.1f}"
    )


if __name__ == "__main__":
    main()
