"""The list of known equivalents: of mutants that exist, each with a reason."""

import tomllib

from tests.mutation.__main__ import SLOW, mutants_of
from tests.mutation.equivalents import LIST, Equivalent, read, stale
from tests.mutation.python import mutants
from tests.mutation.runner import ROOT

SOURCE = "def f(a, b):\n    return a + b  # a comment\n"


def test_every_entry_is_a_mutant_of_its_file() -> None:
    known = read()
    found = [mutant for file in {each.file for each in known} for mutant in mutants_of(file)]
    assert [str(each) for each in stale(known, found)] == []


def test_no_entry_is_there_twice_and_each_has_a_reason() -> None:
    known = read()
    assert len(set(known)) == len(known)
    groups = tomllib.loads(LIST.read_text())
    assert all(entry["reason"] for entries in groups.values() for entry in entries)


def test_a_mutant_is_known_by_its_text_wherever_it_stands() -> None:
    known = Equivalent("file.py", "return a + b", "return (a - b)")
    for moved in (SOURCE, "import a\n\n\n" + SOURCE, SOURCE.replace("  # a comment", "")):
        assert stale([known], mutants("file.py", moved)) == []


def test_an_entry_of_text_that_has_changed_is_stale() -> None:
    known = Equivalent("file.py", "return a + b", "return (a - b)")
    assert stale([known], mutants("file.py", SOURCE.replace("b", "c"))) == [known]
    assert stale([known], mutants("other.py", SOURCE)) == [known]


def test_the_tests_that_are_left_out_exist() -> None:
    sources = [path.read_text() for path in (ROOT / "tests/jobs").glob("test_*.py")]
    for name in SLOW:
        assert any(f"def {name}(" in source for source in sources), name
