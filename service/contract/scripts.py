"""The transitions of an explanation in Redis, each one Lua script and so atomic.

A script whose answer got lost may be sent again: it must not count twice.

`KEYS[1]` is the explanation's hash. A worker's writes carry its attempt, a token made when it
began: where the hash holds another, the worker lost its lease and the write is refused.

No moment comes from a caller, only durations: the scripts read the one clock, which is Redis's.

A batch has a hash too, named as those of its explanations are, with no status but that of theirs;
it expires with the last of them.
"""

from importlib.resources import files

_SHARED = ("clock", "waiting", "pace", "explanation")  # each may use what those before it define


def _script(name: str) -> str:
    folder = files("service.contract") / "lua"
    parts = [folder / f"{part}.lua" for part in (*_SHARED, name)]
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


RESERVE = _script("reserve")
ACCEPT = _script("accept")
BEGIN = _script("begin")
TICK = _script("tick")
FINISH = _script("finish")
RELEASE = _script("release")
CANCEL = _script("cancel")
DELETE = _script("delete")
REAP = _script("reap")
EXPIRED = _script("expired")
BURY = _script("bury")
WITHDRAW = _script("withdraw")
ANNOUNCE = _script("announce")
