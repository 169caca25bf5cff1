"""Mutants of a Lua file: each has one operator, constant or call changed."""

import re
from collections.abc import Iterator

from tests.mutation.mutant import Mutant

TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*)
      | (?P<string>'[^'\n]*')
      | (?P<number>\d+(\.\d+)?(e\d+)?)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<operator>\.\.|==|~=|<=|>=|[-+*/<>=\#])
      | (?P<other>[^\s])""",
    re.VERBOSE,
)
OPERATORS = {
    "==": "~=",
    "~=": "==",
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "and": "or",
    "or": "and",
    "not": "",
    "true": "false",
    "false": "true",
}
# A command that Redis does not have is noticed by whoever runs it: its name tells nothing
COMMANDS = re.compile(
    "DEL|EXISTS|EXPIRE|EXPIREAT|GET|HDEL|HGET|HINCRBY|HINCRBYFLOAT|HMGET|HSET|HSETNX|LIMIT|LINDEX|"
    "LINSERT|LLEN|LPUSH|LRANGE|LREM|LSET|PUBLISH|RPUSH|SADD|SET|TIME|TYPE|ZADD|ZINCRBY|"
    "ZCARD|ZCOUNT|ZMSCORE|ZRANGE|ZRANGEBYSCORE|ZREM|ZREMRANGEBYSCORE|ZREVRANGE|ZSCORE"
)
CALL = re.compile(r"(?:redis\.p?call|[a-z_]+)\(")
BEFORE_A_STATEMENT = ("then", "else", "do", ")", "end")


def mutants(file: str, source: str) -> Iterator[Mutant]:
    tokens = [token for token in TOKEN.finditer(source) if token.lastgroup != "comment"]
    for before, token in zip([None, *tokens], tokens, strict=False):
        now = _changed(token, before)
        if now is not None:
            yield Mutant.of(file, source, token.start(), token.end(), now)
    for start, end in _calls(source, tokens):
        yield Mutant.of(file, source, start, end, "")


def _changed(token: re.Match[str], before: re.Match[str] | None) -> str | None:
    text = token[0]
    if token.lastgroup == "string":
        return None if COMMANDS.fullmatch(text[1:-1]) else f"'{text[1:-1]}x'"
    if token.lastgroup == "number":
        return str(float(text) + 1).removesuffix(".0")
    unary = before is None or (before.lastgroup != "number" and before[0] in {*"(,=", "return"})
    return None if text == "-" and unary else OPERATORS.get(text)


def _calls(source: str, tokens: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """Where a call is a statement of its own."""
    for before, token in zip([None, *tokens], tokens, strict=False):
        found = CALL.match(source, token.start())
        first_of_line = not source[: token.start()].rsplit("\n", 1)[-1].strip()
        begins = first_of_line or (before and before[0] in BEFORE_A_STATEMENT)
        if not (found and begins and token.lastgroup == "name"):
            continue
        if before and before[0] in {"=", "(", ",", "and", "or", "..", "function", "{", "return"}:
            continue  # an operand that stands on a line of its own
        end = _closing(tokens, found.end() - 1)
        yield token.start(), end


def _closing(tokens: list[re.Match[str]], opening: int) -> int:
    depth = 0
    for token in tokens:
        if token.start() < opening:
            continue
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    raise ValueError("a parenthesis is not closed")
