"""Which places of a Python file are changed, and into what."""

import ast
from pathlib import Path

import pytest

from tests.mutation.python import mutants

ROOT = Path(__file__).parents[2]


def changed(source: str) -> list[str]:
    return [mutant.source for mutant in mutants("file.py", source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a + b", ["(a - b)"]),
        ("a += b", ["a -= b"]),
        ("a and b", ["(a or b)"]),
        ("a <= b < c", ["(a < b < c)", "(a <= b <= c)"]),
        ("a is None", ["(a is not None)"]),
        ("not a", ["a"]),
        ("x = True", ["x = False"]),
        ("x = -1", ["x = 1", "x = -2"]),
        ("x = 'é' + y", ["x = ('é' - y)", "x = 'éx' + y"]),
        ("x = f'{a}:'", ["x = f'{a}:x'"]),
        ("call(a)", ["pass"]),
        ("x = min(a, b)", ["x = max(a, b)"]),
        ("x = np.zeros(a)", ["x = np.ones(a)"]),
        ("x = np.sqrt(a)", ["x = a"]),
        ("x = a.copy()", ["x = a"]),
    ],
)
def test_one_operator_constant_or_call_is_changed(source: str, expected: list[str]) -> None:
    assert changed(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "def f(x: int | None) -> Literal['a']: ...",
        "Form = Literal['a', 'b']",
        "@cache(1)\ndef f(): ...",
        "raise ValueError(f'{x} is not in range', 'at all')",
        "x = zip(a, b, strict=True)",
    ],
)
def test_what_does_not_run_or_tells_people_is_left_alone(source: str) -> None:
    assert changed(source) == []


def test_every_mutant_of_a_file_can_be_parsed_and_differs() -> None:
    source = (ROOT / "worker/engine/methods/kernel.py").read_text()
    for mutant in mutants("kernel.py", source):
        assert ast.dump(ast.parse(mutant.source)) != ast.dump(ast.parse(source)), str(mutant)
