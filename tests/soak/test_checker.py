"""The checker finds each violation planted in a real history."""

import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from service.embedded.redis_server import RedisNotFoundError, find_server
from tests.conftest import skip_or_raise, wait_until
from tests.docker.guarded import USERS, guarded_by
from tests.soak import checker
from tests.soak.clients import Client, Input, Known, Pool
from tests.soak.harness import SoakHarness
from tests.soak.history import HistoryFile

SMALL, LONG = Input("dozer", 0, 8), Input("dozer", 0, 4000)

Event = dict[str, Any]


class Real:
    """A real history, and the lines in it where a violation can be planted."""

    def __init__(self, events: list[Event]) -> None:
        self.events = deepcopy(events)

    def id_of(self, token: str) -> str:
        return next(e["id"] for e in self.events if e.get("token") == token and "id" in e)

    def calls(self, op: str, token: str) -> list[int]:
        """Return the calls that mention an explanation."""
        id_ = self.id_of(token)
        return [n for n, e in enumerate(self.events) if e.get("op") == op and e.get("id") == id_]

    def answer(self, call: int) -> Event:
        name = self.events[call]["call"]
        return next(e for e in self.events[call + 1 :] if e.get("call") == name)

    def append(self, call: Event, answer: Event) -> None:
        """Add a call before the end."""
        name = f"planted.{len(self.events)}"
        last = len(self.events) - 1
        self.events[last:last] = [call | {"call": name}, answer | {"call": name}]

    def repeat(self, call: int, **differing: Any) -> None:
        self.append(self.events[call], self.answer(call) | differing)

    def drop(self, dropped: Callable[[Event], bool]) -> None:
        calls = {e.get("call") for e in self.events if dropped(e)} - {None}
        self.events = [e for e in self.events if e.get("call") not in calls]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """The history of explanations that were read, fetched, cached, canceled and deleted."""
    folder = tmp_path_factory.mktemp("soak")
    try:
        binary = find_server()
    except RedisNotFoundError as error:
        skip_or_raise(error)
    with guarded_by(USERS["compose"], binary) as server:
        history_file = HistoryFile(folder)
        harness = SoakHarness(folder, server, step_s=0.01, history_file=history_file)
        harness.start_api()
        harness.start_worker()
        harness.wait_ready()
        client = Client(harness.client.base_url, history_file.writer("client"), Pool())
        _use(client)
        history_file.writer("harness").note("settled")
        client.close()
        harness.close()
        history_file.close()
    return [json.loads(line) for line in history_file.path.read_text().splitlines()]


def _use(client: Client) -> None:
    def submit(token: str, what: Input = SMALL, *, cached: bool = False) -> Known:
        told = client.submit(what, token, keyed=True, cached=cached)
        return client.pool[told["id"]]

    def look_until_done(known: Known) -> None:
        def done() -> bool:
            client.read(known)
            return known.done

        wait_until(done, seconds=20)
        client.fetch(known)

    kept, deleted = submit("kept"), submit("deleted")
    look_until_done(kept)
    look_until_done(submit("cached", cached=True))
    look_until_done(deleted)
    client.delete(deleted)
    client.read(deleted)
    canceled = submit("canceled", LONG)
    client.cancel(canceled)
    look_until_done(canceled)
    look_until_done(kept)
    client.walk("at the end")


def test_a_real_history_keeps_every_promise(events: list[Event]) -> None:
    checked = checker.Checker()
    assert checked.check(json.dumps(event) for event in events) == []
    told = ("accepted", "ended succeeded", "ended canceled", "cached", "deleted")
    assert [checked.counts[name] for name in told] == [4, 3, 1, 1, 1]


def a_double_finish(real: Real) -> None:
    finish = real.calls("finish", "kept")[0]
    real.append(real.events[finish] | {"attempt": "f" * 32}, {"line": "answer", "owned": True})


def another_end(real: Real) -> None:
    real.repeat(real.calls("read", "kept")[-1], status="failed", error="internal", version=99)


def a_start_after_the_end(real: Real) -> None:
    real.repeat(real.calls("begin", "kept")[0], attempt="f" * 32)


def a_result_of_an_attempt_that_did_not_end_it(real: Real) -> None:
    for fetch in real.calls("fetch", "kept"):
        real.answer(fetch)["attempt"] = "f" * 32


def a_loss(real: Real) -> None:
    """No event follows its acceptance."""
    id_, kept = real.id_of("kept"), real.calls
    ops = [n for op in ("read", "fetch", "finish", "list") for n in kept(op, "kept")]
    names = {real.events[n]["call"] for n in ops}
    real.drop(lambda e: e.get("call") in names or e.get("op") == "list")
    real.drop(lambda e: e.get("cached_from") == id_)


def a_loss_of_all(real: Real) -> None:
    """It does not exist any more."""
    read = real.calls("read", "kept")[-1]
    real.append(real.events[read], {"line": "answer", "http": 404, "code": "not_found"})


def a_gap_in_the_list(real: Real) -> None:
    for event in real.events:
        if "items" in event:
            event["items"] = [item for item in event["items"] if item[2] != "kept"]


def a_stale_read(real: Real) -> None:
    first = real.calls("read", "kept")[0]
    real.append(real.events[first], real.answer(first))


def a_stale_status_in_a_list(real: Real) -> None:
    for event in real.events:
        for item in event.get("items", []):
            item[1] = "running" if item[2] == "kept" else item[1]


def a_forgotten_cancel(real: Real) -> None:
    cancel = real.calls("cancel", "canceled")[0]
    real.answer(cancel)["status"] = "queued"


def a_changed_result(real: Real) -> None:
    real.answer(real.calls("fetch", "kept")[-1])["sha256"] = "f" * 64


def two_documents_of_one_version(real: Real) -> None:
    real.repeat(real.calls("read", "kept")[-1], digest="f" * 16)


def a_wrong_result(real: Real) -> None:
    """Always the same result, but another than the same input had before."""
    for fetch in real.calls("fetch", "cached"):
        real.answer(fetch)["sha256"] = "f" * 64


def a_result_that_is_not_there(real: Real) -> None:
    fetch = real.calls("fetch", "kept")[-1]
    real.append(real.events[fetch], {"line": "answer", "http": 404, "code": "no_result"})


def an_answer_by_a_result_that_was_not_there(real: Real) -> None:
    """The result was found to be damaged, and yet answers another request."""
    fetch, kept = real.calls("fetch", "kept")[-1], real.id_of("kept")
    damage = {"line": "note", "op": "fault", "kind": "damage", "excuses": ["no_result"], "id": kept}
    real.events.insert(-1, damage)
    real.append(real.events[fetch], {"line": "answer", "http": 404, "code": "no_result"})
    _answer_later_by(real, kept)


def a_resurrection(real: Real) -> None:
    real.repeat(real.calls("read", "deleted")[0])


def an_answer_from_what_was_deleted(real: Real) -> None:
    _answer_later_by(real, real.id_of("deleted"))


def _answer_later_by(real: Real, source: str) -> None:
    submit = next(e for e in real.events if e.get("token") == "cached" and e["line"] == "call")
    told = real.answer(real.calls("read", "cached")[0])
    later = {"id": "exp_later", "token": "later", "cached_from": source, "http": 200}
    real.append(submit | {"token": "later"}, told | later)


def an_id_from_nowhere(real: Real) -> None:
    for event in real.events:
        if "items" in event:
            event["items"].append(["exp_nobody", "succeeded", "nobody"])


def an_id_that_only_a_worker_knows(real: Real) -> None:
    begin = real.calls("begin", "kept")[0]
    real.append(real.events[begin] | {"id": "exp_nobody"}, real.answer(begin))


def two_explanations_of_one_request(real: Real) -> None:
    for event in real.events:
        if "items" in event:
            event["items"].append(["exp_second", "succeeded", "kept"])


def an_explanation_of_what_was_refused(real: Real) -> None:
    submit = next(e for e in real.events if e.get("token") == "kept" and e["line"] == "call")
    real.append(submit, {"line": "answer", "http": 422, "code": "invalid_settings"})


def a_write_without_a_lease(real: Real) -> None:
    """Another attempt has begun, and the first continues to write."""
    ticks = (n for n, e in enumerate(real.events) if e.get("op") == "tick")
    tick = next(n for n in ticks if real.answer(n).get("standings") in (["owned"], ["cancel"]))
    [[id_, _]] = real.events[tick]["held"]
    begin = next(
        n for n, e in enumerate(real.events) if e.get("op") == "begin" and e.get("id") == id_
    )
    told = [real.events[begin], real.answer(begin) | {"attempt": "f" * 32}]
    real.events[tick:tick] = [e | {"call": "planted"} for e in told]


def a_failure_of_nothing(real: Real) -> None:
    for read in (*real.calls("read", "kept"), *real.calls("finish", "kept")):
        for event in (real.events[read], real.answer(read)):
            if event.get("status") == "succeeded":
                event |= {"status": "failed", "error": "worker_lost"}


def a_cancel_by_nobody(real: Real) -> None:
    names = {real.events[n]["call"] for n in real.calls("cancel", "canceled")}
    real.drop(lambda e: e.get("call") in names)


def an_internal_error(real: Real) -> None:
    read = real.calls("read", "kept")[-1]
    real.append(real.events[read], {"line": "answer", "http": 500, "code": "internal"})


def an_alarm_of_redis(real: Real) -> None:
    real.events.append({"line": "note", "who": "redis", "op": "alarm", "text": "CRITICAL"})


def an_early_end(real: Real) -> None:
    del real.events[-1]


PLANTS = {
    checker.TWICE_ENDED: [
        a_double_finish,
        another_end,
        a_start_after_the_end,
        a_result_of_an_attempt_that_did_not_end_it,
    ],
    checker.LOST: [a_loss, a_loss_of_all, a_gap_in_the_list],
    checker.STALE: [a_stale_read, a_stale_status_in_a_list, a_forgotten_cancel],
    checker.CHANGED: [a_changed_result, two_documents_of_one_version],
    checker.WRONG: [a_wrong_result],
    checker.NO_RESULT: [
        a_result_that_is_not_there,
        an_answer_by_a_result_that_was_not_there,
    ],
    checker.RESURRECTED: [a_resurrection, an_answer_from_what_was_deleted],
    checker.UNKNOWN: [an_id_from_nowhere, an_id_that_only_a_worker_knows],
    checker.TWICE_ACCEPTED: [two_explanations_of_one_request, an_explanation_of_what_was_refused],
    checker.TWO_OWNERS: [a_write_without_a_lease],
    checker.UNCAUSED: [a_failure_of_nothing, a_cancel_by_nobody],
    checker.INTERNAL: [an_internal_error, an_alarm_of_redis],
    checker.BROKEN: [an_early_end],
}


@pytest.mark.parametrize(
    ("kind", "plant"),
    [pytest.param(kind, each, id=each.__name__) for kind, all_ in PLANTS.items() for each in all_],
)
def test_a_planted_violation_is_found_and_named(
    events: list[Event], kind: str, plant: Callable[[Real], None]
) -> None:
    real = Real(events)
    plant(real)
    found = checker.Checker().check(json.dumps(event) for event in real.events)
    assert kind in [violation.kind for violation in found], found


def test_a_result_deleted_during_a_fetch_is_no_violation(events: list[Event]) -> None:
    real = Real(events)
    fetch = real.events[real.calls("fetch", "kept")[-1]] | {"call": "planted.fetch"}
    delete = fetch | {"op": "delete", "call": "planted.delete"}
    answers = [
        {"line": "answer", "call": delete["call"], "http": 204},
        {"line": "answer", "call": fetch["call"], "http": 404, "code": "no_result"},
    ]
    real.events[-1:-1] = [fetch, delete, *answers]
    assert checker.Checker().check(json.dumps(event) for event in real.events) == []


def test_each_kind_of_violation_is_planted_at_least_once() -> None:
    assert set(PLANTS) == set(checker.KINDS)


@pytest.mark.parametrize(("planted", "status"), [(False, 0), (True, 1)])
def test_the_exit_status_is_the_verdict_and_the_lines_are_shown(
    events: list[Event], tmp_path: Path, planted: bool, status: int
) -> None:
    real = Real(events)
    if planted:
        a_changed_result(real)
    history = tmp_path / "history.jsonl"
    history.write_text("".join(json.dumps(event) + "\n" for event in real.events))
    said = _run(str(history))
    assert said.returncode == status, said.stderr
    assert ("\nchanged: the " in said.stdout or "\nchanged: exp_" in said.stdout) == planted
    assert ("every promise was kept" in said.stdout) != planted
    assert (f'"sha256": "{"f" * 64}"' in said.stdout) == planted


def test_the_checker_imports_nothing_of_the_project() -> None:
    """Isolated, it finds neither this project nor any installed package."""
    said = _run("/nothing/there")
    assert (said.returncode, said.stderr) == (2, "")
    code = Path(checker.__file__).read_text()
    imported = {line.split()[1].partition(".")[0] for line in code.splitlines() if _imports(line)}
    assert imported <= sys.stdlib_module_names


def _imports(line: str) -> bool:
    return line.lstrip().startswith(("import ", "from ")) and line.strip().split()[0] != "from:"


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", checker.__file__, *words]
    return subprocess.run(command, capture_output=True, text=True)
