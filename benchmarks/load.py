"""`python -m benchmarks.load [PART ...]`: throughput of the API, Redis and the queue on loopback.

ledger    jobs per second that one client can accept, begin and finish in Redis
cache     milliseconds to answer a repeated request
uploads   uploads per second that the API accepts on one core
polls     polls of 1000 clients, with 200 open streams and arriving uploads; the API has one core
workers   jobs per second of 1, 2, 8 and 32 worker processes with a model that sleeps

Each is limited in time, and its best round is printed, as other load only slows the machine down.
"""

import argparse
import asyncio
import gc
import json
import os
import time
from statistics import median, quantiles

from benchmarks.http_clients import Connection, follow, poll_often
from benchmarks.set_without_models import LoadSet, load_set, workers
from service.infra.artifact_store import attributions_key, open_store
from service.infra.artifacts import Artifact, ArtifactSection, AttemptArtifacts
from service.jobs.leases import Heartbeat
from service.jobs.records import ProgressCount
from service.jobs.redis_keys import new_id
from service.schemas.documents import Status
from tests.encoded import encoded, noise
from tests.tiny import OUTCOME, SPEC
from worker.engine.scoring.cpu_count import CPU_COUNT

POLLERS, STREAMS = 1000, 200


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between a client's polls")
    parser.add_argument("--nap", type=float, default=0.5, help="seconds of a model that sleeps")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown parts {sorted(unknown)}; there are {', '.join(PARTS)}")
    print(f"{CPU_COUNT} cores, load {os.getloadavg()[0]:.1f}; best of {options.rounds} rounds")
    for part in options.parts:
        with load_set(cores={0}) as subject:
            PARTS[part](subject, options)


def ledger(subject: LoadSet, options: argparse.Namespace) -> None:
    """Accept, begin and finish one job after the other, while a hundred wait."""
    for _ in range(100):
        subject.ledger.accept(new_id(), SPEC, timeout_s=60)
    jobs = 300
    best = min(_live_through(subject, jobs) for _ in range(options.rounds))
    print(f"ledger: {jobs / best:.0f} jobs a second, three scripts each")


def _live_through(subject: LoadSet, jobs: int) -> float:
    """Return the seconds for all."""
    began = time.perf_counter()
    for _ in range(jobs):
        subject.ledger.accept(id_ := new_id(), SPEC, timeout_s=60)
        attempt = subject.ledger.begin(id_)
        assert attempt
        subject.ledger.finish(id_, attempt, Status.FAILED)
    return time.perf_counter() - began


def cache(subject: LoadSet, options: argparse.Namespace) -> None:
    """Finish the first request as a worker would; it answers the others."""
    photo = _photo(0, size=(451, 300))
    asyncio.run(_cache(subject, photo, options.rounds))


async def _cache(subject: LoadSet, photo: bytes, rounds: int) -> None:
    connection = await Connection.open(subject.port)
    _, body = await connection.post(photo)
    id_ = str(json.loads(body)["id"])
    attempt = subject.ledger.begin(id_)
    assert attempt
    store = open_store(subject.settings.store_url)
    content = os.urandom(1_000_000)
    store.put(attributions_key(id_, attempt), content)
    stored = AttemptArtifacts(
        shape=(1, 1, 1, 1), attributions=Artifact.of(content), blocks=ArtifactSection.at(0, content)
    )
    subject.ledger.finish(id_, attempt, Status.SUCCEEDED, outcome=OUTCOME, artifacts=stored)
    times = []
    for _ in range(100 * rounds):
        began = time.perf_counter()
        status, _ = await connection.post(photo)
        times.append(1000 * (time.perf_counter() - began))
        assert status == 200
    tenth = quantiles(times, n=10)
    print(f"cache: median {median(times):.1f} ms, nine of ten within {tenth[-1]:.1f} ms")


def uploads(subject: LoadSet, options: argparse.Namespace) -> None:
    """Eight clients send small pictures as fast as they are accepted."""
    best = max(asyncio.run(_uploads(subject.port, each, 200)) for each in range(options.rounds))
    print(f"uploads: {best:.0f} a second accepted, the API on one core")


async def _uploads(port: int, seed: int, count: int) -> float:
    photos = [_photo(1000 * seed + number) for number in range(count)]
    connections = [await Connection.open(port) for _ in range(8)]

    async def send(connection: Connection) -> None:
        while photos:
            status, _ = await connection.post(photos.pop())
            assert status == 202

    began = time.perf_counter()
    await asyncio.gather(*map(send, connections))
    return count / (time.perf_counter() - began)


def polls(subject: LoadSet, options: argparse.Namespace) -> None:
    """Poll waiting explanations and, as many, running ones that advance five times a second."""
    os.sched_setaffinity(0, set(range(1, os.cpu_count() or 1)) or {0})
    gc.disable()  # this process's pauses are not the API's
    rounds = [asyncio.run(_polls(subject, options.every)) for _ in range(options.rounds)]
    times, rate = min(rounds, key=lambda found: quantiles(found[0], n=100)[98])
    p99 = quantiles(times, n=100)[98]
    print(f"polls: {POLLERS} clients, every {options.every:g} s, {STREAMS} streams, uploads: ")
    print(f"  {len(times)} polls, median {median(times):.1f} ms, p99 {p99:.1f} ms")
    fastest = max(asyncio.run(_flat_out(subject.port)) for _ in range(options.rounds))
    print(f"  at {rate:.0f} requests a second; flat out, one core answers {fastest:.0f} polls")


async def _polls(
    subject: LoadSet, every_s: float, lasting_s: float = 15
) -> tuple[list[float], float]:
    ids = [new_id() for _ in range(100)]
    for id_ in ids:
        subject.ledger.accept(id_, SPEC, timeout_s=60)
    running = [(id_, str(subject.ledger.begin(id_))) for id_ in ids[:20]]
    times: list[float] = []
    end = time.perf_counter() + lasting_s
    tasks = [
        *(
            poll_often(subject.port, ids[n % 100], n / POLLERS, every_s, end, times)
            for n in range(POLLERS)
        ),
        *(follow(subject.port, ids[n % 20], end) for n in range(STREAMS)),
        _keep_uploading(subject.port, end),
        asyncio.to_thread(_move_on, subject, running, end),
    ]
    await asyncio.gather(*tasks)
    return times, len(times) / (lasting_s - every_s)


async def _keep_uploading(port: int, end: float) -> None:
    connection, number = await Connection.open(port), 0
    while time.perf_counter() < end:
        await connection.post(_photo(10_000 + number))
        number += 1
        await asyncio.sleep(0.5)


def _move_on(subject: LoadSet, running: list[tuple[str, str]], end: float) -> None:
    evaluations = 0
    while time.perf_counter() < end:
        evaluations += 1
        subject.ledger.heartbeat(
            *(Heartbeat(*each, ProgressCount(evaluations, 1000)) for each in running)
        )
        time.sleep(0.2)


async def _flat_out(port: int, count: int = 2000) -> float:
    connections = [await Connection.open(port) for _ in range(16)]
    _, body = await connections[0].post(_photo(-1))
    path = f"/v1/explanations/{json.loads(body)['id']}"

    async def ask(connection: Connection) -> None:
        for _ in range(count // 16):
            await connection.get(path)

    began = time.perf_counter()
    await asyncio.gather(*map(ask, connections))
    return count / (time.perf_counter() - began)


def sleepers(subject: LoadSet, options: argparse.Namespace) -> None:
    """Print jobs per second, and their share of what the sleeps alone would allow."""
    for count in (1, 2, 8, 32):
        with workers(count, subject.settings, nap_s=options.nap):
            _drain(subject, count)  # until all of them serve
            best = min(_drain(subject, 6 * count) for _ in range(options.rounds))
        rate, most = 6 * count / best, count / options.nap
        print(
            f"workers: {count:2}: {rate:6.1f} jobs a second, {rate / most:.0%} of what naps allow"
        )


def _drain(subject: LoadSet, jobs: int) -> float:
    """Return the seconds until all have ended."""
    ids = [new_id() for _ in range(jobs)]
    began = time.perf_counter()
    for id_ in ids:
        subject.ledger.accept(id_, SPEC, timeout_s=60)
    while subject.redis.hget("shapshot:waiting", "jobs") or subject.redis.zcard("rq:wip:shapshot"):
        time.sleep(0.01)
    return time.perf_counter() - began


def _photo(seed: int, size: tuple[int, int] = (60, 40)) -> bytes:
    return encoded(noise(*size, seed=abs(seed)))


PARTS = {"ledger": ledger, "cache": cache, "uploads": uploads, "polls": polls, "workers": sleepers}

if __name__ == "__main__":
    main()
