"""The two sides of each script: its class in Python and its Lua."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import redis

from service.jobs import scripts
from service.jobs.admission_limits import AdmissionLimits
from service.jobs.redis_keys import key_of, new_id
from service.jobs.scripts import (
    SHARED,
    Accept,
    Announce,
    Begin,
    Call,
    Cancel,
    Delete,
    Evict,
    Expired,
    Finish,
    Hold,
    NewExplanation,
    Note,
    Reap,
    Reindex,
    Release,
    Renew,
    Reserve,
    Review,
    Scripts,
    Seal,
    Segment,
    Stamp,
    Tombstone,
    Unhold,
    Walk,
)
from service.jobs.webhook_scripts import Hook, Replay, Settle, Take, Unhook

FOLDER = Path(scripts.__file__).parent / "lua"
CALLS = (
    Accept,
    Announce,
    Begin,
    Tombstone,
    Cancel,
    Delete,
    Expired,
    Finish,
    Reap,
    Reindex,
    Release,
    Reserve,
)
CALLS = (*CALLS, Renew, Review, Hold, Unhold, Evict, Reindex, Seal, Stamp, Walk)
CALLS = (*CALLS, Note, Segment)
CALLS = (*CALLS, Hook, Unhook, Take, Settle, Replay)
ODD = "'\"\\ \0 \x1f \x7f é ☃ 😀 \u2028 ]]-- %d"


def lua_of(call: type[Call]) -> str:
    return scripts.read_part(call.__name__.lower())


def test_every_script_has_a_class_of_its_name():
    named = {call.__name__.lower() for call in CALLS}
    assert {path.stem for path in FOLDER.glob("*.lua")} == named | set(SHARED)


@pytest.mark.parametrize("call", CALLS)
def test_a_script_reads_exactly_the_fields_of_its_class(call):
    read = set(re.findall(r"\basked\.(\w+)", lua_of(call)))
    keyed = {"id"} & {field.name for field in fields(call)}  # it may use KEYS[1]
    assert read | keyed == {field.name for field in fields(call)}


@pytest.mark.parametrize("call", CALLS)
def test_the_replies_of_a_script_are_those_listed_in_its_first_lines(call):
    head, _, body = lua_of(call).partition("\n\n")
    told = re.findall(r"(?:^|\| )(\w+)", re.sub(r"\n-- ", " ", head).partition("Replies: ")[2])
    given = re.findall(r"(?:return|reply =) \{'(\w+)'", body) + re.findall(r", 1, '(\w+)'", body)
    assert sorted(set(given)) == sorted(told)


def test_text_is_stored_unchanged(connection: redis.Redis):
    record = {"status": "succeeded", "order": ODD, "bytes": str(2**63 - 1), "method": ""}
    accept = Accept(
        queue="test",
        flow=ODD,
        cost=0.1,
        owner=ODD,
        jobs=0,
        bytes=0,
        caps=AdmissionLimits(),
        retention_s=60,
        claim=None,
        batch=None,
        explanations=[NewExplanation(id_ := new_id(), record | {"owner": ODD}, None)],
    )
    assert Scripts(connection).run(accept) == ("accepted", [])
    written = {
        name.decode(): value.decode() for name, value in connection.hgetall(key_of(id_)).items()
    }
    assert record.items() <= written.items()
    assert connection.zscore(f"shapshot:explanations:{ODD}", id_)
