"""The index holds exactly what a scan of all explanations would find."""

import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from itertools import combinations

import pytest
import redis
from structlog.testing import capture_logs

from service.jobs.facets import (
    MAX_METADATA,
    MAX_NAME_WORDS,
    facets_of,
    facets_of_state,
    in_words,
    masker_value,
    metadata_value,
    name_words,
    word,
)
from service.jobs.index_repair import PAGE, TURN_KEY, IndexRepair
from service.jobs.leases import FencedError
from service.jobs.records import JobSpec, State
from service.jobs.redis_keys import (
    BATCHES,
    INDEX,
    as_text,
    facet_key_of,
    index_of,
    key_of,
    new_batch_id,
    new_id,
)
from service.jobs.scripts import Place, Reindex, Scripts, Walk
from service.jobs.submissions import HeldError, StillRunningError
from service.schemas.documents import ClassName, ErrorCode, Failure, Status
from service.schemas.results import Outcome
from service.schemas.warnings import ResultWarning, WarningCode
from tests.conftest import RedisServer
from tests.ledger import Ledger
from tests.tiny import MODEL, OUTCOME, SPEC, output_result

OWNERS = ("ann", "bob", None)
HOSTILE = ("*", "a b", "a:b", "", "é", "x" * 64, "explanations", "\n")
CORRECT = {True: "true", False: "false", None: "null"}
NAMES = {  # and their words
    None: [],
    "...": [],
    "IMG_12a.JPG": ["img", "12", "a", "jpg"],
    "Robin 12 robin.jpg": ["robin", "12", "jpg"],
}
VALUES = {  # of each facet, as in the document of an explanation
    "status": lambda state: [state.status],
    "model": lambda state: [(state.outcome or state.spec).model.name],
    "fingerprint": lambda state: [(state.outcome or state.spec).model.fingerprint],
    "method": lambda state: [state.spec.settings.method],
    "masker": lambda state: [masker_value(state.spec.settings.masker)],
    "picture": lambda state: [state.spec.image.sha256],
    "batch": lambda state: [state.spec.batch] if state.spec.batch else [],
    "label": lambda state: top_of(state.outcome),
    "truth": lambda state: (
        [state.spec.true_label.label, str(state.spec.true_label.index)]
        if state.spec.true_label
        else []
    ),
    "correct": lambda state: [CORRECT[state.outcome and state.spec.correct(state.outcome)]],
    "review": lambda state: [state.review.verdict if state.review else "none"],
    "held": lambda state: ["true"] if state.hold else [],
    "name": lambda state: NAMES[state.spec.image.name],
    "warning": lambda state: (
        [each.code for each in state.outcome.warnings] if state.outcome else []
    ),
    "metadata": lambda state: [
        metadata_value(*each) for each in state.spec.settings.metadata.items()
    ],
}


def top_of(outcome: Outcome | None) -> list[str]:
    if not (outcome and outcome.outputs):
        return []
    top = sorted(outcome.outputs, key=lambda output: -output.score)[0]
    return [top.label, str(top.index)]


def words_of(state: State) -> set[str]:
    return {word(facet, value) for facet, values in VALUES.items() for value in values(state)}


class History:
    """Applies random transitions to explanations, and records every id."""

    def __init__(self, connection: redis.Redis, seed: int) -> None:
        self.redis = connection
        self.ledger = Ledger(connection, queue="test", lease_s=30, retention_s=0)
        self.random = random.Random(seed)  # noqa: S311
        self.ids: list[str] = []
        self.batches: list[str] = []
        self.attempts: dict[str, str] = {}

    def go_on(self, times: int) -> None:
        for _ in range(times):
            step = self.random.choice(
                [self.accept, self.accept, self.accept_batch, self.begin, self.begin, self.finish,
                 self.finish, self.cancel, self.release, self.reap, self.delete, self.expire,
                 self.hold, self.let_go]
            )  # fmt: skip
            step()

    def spec(self, **about: object) -> JobSpec:
        pick = self.random.choice
        settings = SPEC.settings.model_copy(
            update={
                "method": pick(("partition", "kernel")),
                "masker": pick(("mean", "blur(16,16)", "blur( 16,16 )")),
                "metadata": {pick(HOSTILE): pick(HOSTILE) for _ in range(2)},
            }
        )
        named = {"sha256": pick("01") * 64, "name": pick(list(NAMES))}
        image = SPEC.image.model_copy(update=named)
        truth = pick((None, ClassName(index=0, label="ant"), ClassName(index=1, label="0")))
        known = {"settings": settings, "image": image, "true_label": truth}
        return SPEC.model_copy(update=known | about)

    def accept(self) -> None:
        id_ = new_id()
        states = [state for each in self.ids if (state := self.ledger.read(each))]
        known = [state for state in states if state.result and state.outcome]
        earlier = {id_: self.random.choice(known)} if known and self.random.random() < 0.3 else {}
        spec = self.spec(owner=self.random.choice(OWNERS), cache=None)
        self.ledger.accept(id_, spec, timeout_s=60, earlier=earlier)
        self.ids.append(id_)

    def accept_batch(self) -> None:
        batch = new_batch_id()
        spec = self.spec(owner=self.random.choice(OWNERS), batch=batch)
        members = [new_id() for _ in range(3)]
        self.ledger.accept_batch(batch, dict.fromkeys(members, spec), timeout_s=60)
        self.ids += members
        self.batches.append(batch)

    def begin(self) -> None:
        id_ = self.some()
        if attempt := self.ledger.begin(id_):
            self.attempts[id_] = attempt

    def finish(self) -> None:
        pick, id_ = self.random.choice, self.some()
        outputs = [output_result(index, label) for index, label in ((0, "ant"), (1, "0"))]
        outputs[1] = outputs[1].model_copy(update={"score": pick((0.25, 0.75))})
        warned = ResultWarning(
            code=pick(list(WarningCode)), detail="", output=None, value=None, limit=None
        )
        found = {"outputs": outputs, "warnings": [warned], "model": pick((MODEL, OTHER))}
        status = pick((Status.SUCCEEDED, Status.CANCELED, Status.FAILED))
        failed = Failure(code=ErrorCode.INTERNAL, detail="") if status is Status.FAILED else None
        outcome = None if failed else OUTCOME.model_copy(update=found)
        attempt = self.attempts.get(id_, "none")
        with contextlib.suppress(FencedError):
            self.ledger.finish(id_, attempt, status, outcome=outcome, error=failed)

    def cancel(self) -> None:
        self.ledger.cancel(self.some())

    def release(self) -> None:
        id_ = self.some()
        with contextlib.suppress(FencedError):
            self.ledger.release(id_, self.attempts.get(id_, "none"))

    def reap(self) -> None:
        id_ = self.some()
        if id_ in self.attempts:
            self.redis.zadd("rq:wip:test", {f"{id_}:{self.attempts[id_]}": 1})
        self.redis.delete("shapshot:reaped:test")
        self.ledger.reap(max_attempts=2)

    def delete(self) -> None:
        id_ = (
            self.random.choice(self.batches)
            if self.batches and self.random.random() < 0.3
            else self.some()
        )
        with contextlib.suppress(StillRunningError, HeldError):
            self.ledger.delete(id_)

    def hold(self) -> None:
        self.ledger.hold(self.some(), "ann", "A complaint", None, replaces=False)

    def let_go(self) -> None:
        self.ledger.release_hold(self.some(), "ann", replaces=False)

    def expire(self) -> None:
        if self.random.random() < 0.3:
            for id_ in self.ledger.expired():
                self.ledger.leave_tombstone(id_, tombstone_s=60)

    def some(self) -> str:
        return self.random.choice(self.ids[-12:]) if self.ids else new_id()

    def listed(self) -> dict[str, State]:
        """Find by a scan the explanations that are neither expired nor deleted."""
        states = {id_: self.ledger.read(id_) for id_ in self.ids}
        return {id_: state for id_, state in states.items() if state and state.spec}


OTHER = MODEL.model_copy(update={"name": "other", "fingerprint": "sha256:" + "77" * 32})


def sets_of(connection: redis.Redis, pattern: str) -> dict[str, set[str]]:
    return {
        as_text(key): {as_text(member) for member in connection.zrange(key, 0, -1)}
        for key in connection.scan_iter(pattern, 1000)
    }


def check(history: History) -> None:
    """Compare every set of the index with a scan."""
    listed = history.listed()
    expected: dict[str, set[str]] = {}
    for id_, state in listed.items():
        for facet in words_of(state):
            expected.setdefault(facet_key_of(facet), set()).add(id_)
        for owner in {None, state.owner}:
            expected.setdefault(index_of(owner), set()).add(id_)
        if batch := state.spec.batch:
            for owner in {None, state.owner}:
                expected.setdefault(index_of(owner, BATCHES), set()).add(batch)
    found = {}
    for pattern in ("shapshot:index:*", f"{INDEX}*", f"{BATCHES}*"):
        found |= sets_of(history.redis, pattern)
    assert found == expected


@pytest.mark.parametrize("seed", range(12))
def test_after_any_history_the_index_equals_a_scan(connection, seed):
    history = History(connection, seed)
    for _ in range(6):
        history.go_on(25)
        check(history)
    check_walks(history)


def check_walks(history: History) -> None:
    listed = history.listed()
    words = {facet: words_of(state) for facet, state in listed.items()}
    all_words = sorted(set().union(*words.values())) if words else []
    pairs = list(combinations(all_words, 2))
    for chosen in [*history.random.sample(pairs, min(len(pairs), 40)), ()]:
        for owner in OWNERS:
            ids = [
                id_
                for id_, state in sorted(
                    listed.items(), key=lambda each: (each[1].created_at, each[0])
                )
                if set(chosen) <= words[id_] and owner in (None, state.owner)
            ]
            sets = [index_of(owner), *map(facet_key_of, chosen)]
            assert walked(history.redis, sets, newest=False) == ids
            assert walked(history.redis, sets, newest=True) == ids[::-1]
            assert counted(history.redis, sets) == len(ids)


def test_after_all_is_deleted_the_index_takes_no_memory(connection):
    history = History(connection, 0)
    history.go_on(100)
    for id_ in history.ids:
        if attempt := history.ledger.begin(id_) or history.attempts.get(id_):
            with contextlib.suppress(FencedError):
                history.ledger.finish(id_, attempt, Status.SUCCEEDED, outcome=OUTCOME)
        history.ledger.release_hold(id_, "ann", replaces=False)
        history.ledger.delete(id_)
    kept = [as_text(key) for key in connection.scan_iter("shapshot:*", 1000)]
    assert not [key for key in kept if key.startswith((INDEX, BATCHES, "shapshot:index"))]


def test_the_index_survives_a_restart_of_redis(mortal_redis: RedisServer):
    with redis.Redis.from_url(mortal_redis.url) as connection:
        history = History(connection, 1)
        for _ in range(3):
            history.go_on(40)
            before = sets_of(connection, "shapshot:index:*")
            mortal_redis.shut_down()
            mortal_redis.start()
            assert sets_of(connection, "shapshot:index:*") == before
            check(history)


def test_each_change_of_status_changes_the_index(connection):
    history = History(connection, 0)
    history.accept()
    [id_] = history.ids
    attempt = history.ledger.begin(id_)
    check(history)
    history.ledger.release(id_, attempt)
    check(history)
    attempt = history.ledger.begin(id_)
    history.ledger.cancel(id_)
    check(history)
    history.ledger.release(id_, attempt)
    check(history)
    assert connection.zrange(facet_key_of("status:canceled"), 0, -1) == [id_.encode()]


def test_a_batch_leaves_the_list_with_its_last_expiry(connection):
    history = History(connection, 0)
    history.accept_batch()
    for id_ in history.ids:
        assert connection.zrange(BATCHES, 0, -1) == [history.batches[0].encode()]
        history.ledger.cancel(id_)
        history.ledger.leave_tombstone(id_, tombstone_s=60)
    assert not connection.exists(BATCHES)


# --- What an older version recorded


@pytest.mark.parametrize("seed", range(3))
def test_explanations_without_facets_are_indexed_by_the_repair(connection, seed):
    history = History(connection, seed)
    history.go_on(60)
    forget_facets(connection)
    history.go_on(60)  # written by the present version
    repair(connection)
    check(history)


def test_changes_by_an_older_version_are_indexed_by_the_repair(connection):
    history = History(connection, 5)
    history.accept()
    [id_] = history.ids
    connection.hset(key_of(id_), mapping={"status": "running", "version": 7})
    repair(connection)
    check(history)


@pytest.mark.parametrize("unknown", [["review"], ["review", "correct", "truth", "name"]])
def test_explanations_that_an_older_version_indexed_by_less_are_indexed_by_all(connection, unknown):
    history = History(connection, 7)
    history.go_on(60)
    forget_some_facets(connection, *unknown)
    history.go_on(20)
    repair(connection)
    check(history)


def test_more_explanations_than_a_page_are_indexed(connection, spec):
    history = History(connection, 6)
    for _ in range(PAGE + 1):
        history.ids.append(new_id())
        history.ledger.accept(history.ids[-1], spec, timeout_s=60)
    forget_facets(connection)
    assert repair(connection) == 2
    check(history)


def test_housekeeping_logs_the_number_of_indexed_explanations(connection, accepted):
    with capture_logs() as logs:
        accepted()
        repair(connection)
        assert logs == []
        forget_facets(connection)
        accepted()
        repair(connection)
    assert [(log["event"], log["count"]) for log in logs] == [("explanations indexed", 1)]


def test_one_worker_at_a_time_repairs_the_index(connection, accepted):
    accepted()
    first, second = IndexRepair(connection), IndexRepair(connection)
    assert not first.step()
    forget_facets(connection)
    assert not second.step()
    assert not sets_of(connection, "shapshot:index:*")
    connection.delete(TURN_KEY)
    second.step()
    assert sets_of(connection, "shapshot:index:*")


def test_facets_of_a_hash_that_has_changed_since_are_not_written(connection, accepted, ledger):
    id_ = accepted()
    before = connection.hget(key_of(id_), "facets")
    assert Scripts(connection).run(Reindex(id_, "2", "status:failed")) == ("changed", [])
    assert connection.hget(key_of(id_), "facets") == before
    connection.zrem(INDEX, id_)
    assert Scripts(connection).run(Reindex(id_, "1", "status:failed")) == ("changed", [])


def test_foreign_data_stops_no_repair_and_no_worker(connection, accepted, ledger, outcome):
    strange, id_ = accepted(), accepted()
    for wild in (b"", b"\xff", b"x y"):
        connection.zadd(INDEX, {wild: 1})
    connection.delete(key_of(strange))
    connection.set(key_of(strange), "no hash")
    connection.hdel(key_of(id_), "facets")
    connection.set(facet_key_of("status:running"), "no set")
    repair(connection)
    ledger.finish(id_, ledger.begin(id_), Status.SUCCEEDED, outcome=outcome)
    assert connection.zrange(facet_key_of("status:succeeded"), 0, -1) == [id_.encode()]


def forget_some_facets(connection: redis.Redis, *names: str) -> None:
    """Leave what a version without these facets would have left."""
    for key in connection.scan_iter("shapshot:explanation:*", 1000):
        facets = as_text(connection.hget(key, "facets") or b"").split()
        if facets:
            kept = [each for each in facets if each.partition(":")[0] not in names]
            connection.hset(key, "facets", " ".join(kept))
    for name in names:
        for key in connection.scan_iter(f"shapshot:index:{name}:*", 1000):
            connection.delete(key)


def forget_facets(connection: redis.Redis) -> None:
    """Reduce Redis to what a version without facets and lists of batches would leave."""
    for key in connection.scan_iter("shapshot:explanation:*", 1000):
        connection.hdel(key, "facets")
    for pattern in ("shapshot:index:*", f"{BATCHES}*"):
        for key in connection.scan_iter(pattern, 1000):
            connection.delete(key)


def repair(connection: redis.Redis) -> int:
    """Complete a pass of the index repair; return its number of pages."""
    connection.delete(TURN_KEY)
    steps, housekeeping = 1, IndexRepair(connection)
    while housekeeping.step():
        steps += 1
    return steps


# --- Facets


def test_metadata_that_is_long_or_nested_is_not_indexed(spec):
    settings = spec.settings.model_copy(
        update={
            "metadata": {
                "n": 3, "yes": True, "none": None, "x": 1.5, "list": [1], "object": {"a": 1},
                "long": "x" * 257, "k" * 65: "x", **{f"more{i}": i for i in range(20)},
            }
        }
    )  # fmt: skip
    spec = spec.model_copy(update={"settings": settings})
    state = State(
        **dict.fromkeys(State.__dataclass_fields__) | {"spec": spec, "status": Status.QUEUED}
    )
    found = facets_of_state(state)["metadata"]
    texts = [("n", "3"), ("yes", "true"), ("none", "null"), ("x", "1.5")]
    assert list(found)[:5] == [metadata_value(*each) for each in [*texts, ("more0", "0")]]
    assert len(found) == MAX_METADATA


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n01531178_Goldfinch-3.JPEG", ["n", "01531178", "goldfinch", "3", "jpeg"]),
        ("Fu\u0308chse STRASSE.png", ["füchse", "strasse", "png"]),  # as macOS writes it
        ("_.-", []),
        (" ".join(f"w{n}" for n in range(20)), ["w", *map(str, range(20))]),
    ],
)
def test_a_file_name_is_found_by_its_words(spec, name, words):
    assert name_words(name) == words
    image = spec.image.model_copy(update={"name": name})
    named = spec.model_copy(update={"image": image})
    assert facets_of(Status.QUEUED, named)["name"] == words[:MAX_NAME_WORDS]


def test_facet_words_are_short_and_have_harmless_characters():
    for value in (*HOSTILE, "\ud800", "x" * 10_000):
        name, _, digest = in_words({"metadata": [value]}).partition(":")
        assert (name, len(digest), set(digest) <= set("0123456789abcdef")) == ("metadata", 32, True)


# --- Walking


def walk(sets: Sequence[str], **about: object) -> Walk:
    known = {
        "newest": True,
        "since": None,
        "before": None,
        "place": None,
        "limit": 3,
        "lookups": 2000,
    }
    return Walk(sets, **(known | about))


def walked(connection: redis.Redis, sets: Sequence[str], **about: object) -> list[str]:
    return [id_ for step in steps(connection, sets, **about) for id_ in step[1]]


def counted(connection: redis.Redis, sets: Sequence[str], **about: object) -> int:
    return sum(step[0] for step in steps(connection, sets, limit=None, **about))


def steps(
    connection: redis.Redis, sets: Sequence[str], **about: object
) -> Iterator[tuple[int, list[str]]]:
    """Yield the count and the members that each script finds, until the end."""
    place = about.pop("place", None)
    while True:
        call = walk(sets, place=place, **about)
        tag, [found, more, *places] = Scripts(connection).run(call)
        assert tag == "walked"
        yield found, [as_text(each) for each in places[3::2]]
        if not more:
            return
        place = Place(*map(as_text, places[:2]))


@pytest.fixture
def numbers(connection):
    """Make sets of the numbers up to 60 divisible by 2, 3 and 5; each three share a score."""
    for by in (1, 2, 3, 5):
        members = {f"{n:02}": float(n // 3) for n in range(0, 60, by)}
        connection.zadd(str(by), members)
    return [f"{n:02}" for n in range(60)]


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("lookups", [1, 2, 7, 2000])
@pytest.mark.parametrize("sets", [("1",), ("1", "2"), ("2", "3"), ("5", "1", "2", "3")])
def test_a_walk_finds_all_in_order_with_any_length_of_step(
    connection, numbers, sets, lookups, newest
):
    common = [n for n in numbers if all(int(n) % int(by) == 0 for by in sets)]
    about = {"newest": newest, "lookups": lookups}
    assert walked(connection, sets, **about) == common[:: -1 if newest else 1]
    assert counted(connection, sets, **about) == len(common)


@pytest.mark.parametrize("newest", [True, False])
def test_a_walk_keeps_within_times(connection, numbers, newest):
    about = {"newest": newest, "since": "3", "before": "9.0"}
    common = [n for n in numbers if 3 <= int(n) // 3 < 9]
    assert walked(connection, ["1"], **about) == common[:: -1 if newest else 1]
    assert counted(connection, ["1", "2"], **about) == len(common) // 2
    assert counted(connection, ["1"], **about) == len(common)
    assert (
        counted(connection, ["1"], since="100") == counted(connection, ["1", "2"], before="0") == 0
    )


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("at", ["30", "300", "31", "00", "59", "", "zz"])
def test_a_walk_continues_from_a_place_whose_member_is_gone(connection, numbers, newest, at):
    connection.zrem("1", "30")
    left = [n for n in numbers if n != "30"]
    for score in ("10.0", "-1.0", "99.0"):
        keys = {n: (float(int(n) // 3), n) for n in left}
        place = (float(score), at)
        beyond = [n for n in left if keys[n] != place and (keys[n] < place) == newest]
        found = walked(connection, ["1"], newest=newest, place=Place(score, at))
        assert found == beyond[:: -1 if newest else 1]


def test_a_walk_of_many_sets_of_one_size_finds_all(connection):
    """As in a service where every explanation is by one model, method and masker."""
    sets = [f"equal{n}" for n in range(8)]
    for each in sets:
        connection.zadd(each, {"a": 1.0, "b": 2.0})
    assert walked(connection, sets) == ["b", "a"]


def test_a_script_makes_a_limited_number_of_look_ups(connection, numbers):
    """A script blocks Redis only briefly, even if matches are rare."""
    connection.zadd("none", {f"x{n}": n for n in range(100)})
    _, [found, more, *_] = Scripts(connection).run(walk(["1", "none"], lookups=10))
    assert (found, more) == (0, 1)
    assert len(list(steps(connection, ["1", "none"], lookups=10))) == 6


def test_a_walk_over_several_sets_scans_the_smallest(connection):
    now = time.time()
    connection.zadd("many", {f"{n}": now + n for n in range(5000)})
    connection.zadd("rare", {"0": now, "4999": now + 4999})
    assert [*steps(connection, ["many", "rare"], lookups=10)] == [(2, ["4999", "0"])]
    assert walked(connection, ["many", "nothing"]) == []
