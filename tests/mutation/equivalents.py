"""The changes that no test can notice, or that do no harm: equivalents.toml lists them."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutant import Mutant

LIST = Path(__file__).parent / "equivalents.toml"


@dataclass(frozen=True)
class Equivalent:
    """A mutant by its text: it stays the same when lines move."""

    file: str
    before: str
    after: str

    @classmethod
    def of(cls, mutant: Mutant) -> "Equivalent":
        return cls(mutant.file, mutant.before, mutant.after)

    def __str__(self) -> str:
        return f"{self.file}\n  - {self.before}\n  + {self.after}"


def read(path: Path = LIST) -> list[Equivalent]:
    with path.open("rb") as file:
        groups = tomllib.load(file)
    return [
        Equivalent(name, before, after)
        for name, entries in groups.items()
        for entry in entries
        for before, after in entry["changes"]
    ]


def stale(known: Iterable[Equivalent], mutants: Iterable[Mutant]) -> list[Equivalent]:
    """Find those that are no mutants any more."""
    present = {Equivalent.of(mutant) for mutant in mutants}
    return [each for each in known if each not in present]
