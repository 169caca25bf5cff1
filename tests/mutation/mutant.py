"""A mutant: a source file in which one place is changed."""

import re
from dataclasses import dataclass

COMMENT = re.compile(r"  (#|--) .*$")


@dataclass(frozen=True)
class Mutant:
    file: str  # its path in the project
    line: int
    was: str
    now: str
    before: str  # the changed lines, without indentation and comment
    after: str
    source: str  # the whole changed file

    @classmethod
    def of(cls, file: str, source: str, start: int, end: int, now: str) -> "Mutant":
        """Replace source[start:end]."""
        line = source.count("\n", 0, start) + 1
        head = source[source.rfind("\n", 0, start) + 1 : start]
        tail = source[end:].partition("\n")[0]
        before, after = (_shortened(head + text + tail) for text in (source[start:end], now))
        changed = source[:start] + now + source[end:]
        return cls(file, line, source[start:end], now, before, after, changed)

    @property
    def lines(self) -> range:
        """The lines that it changes."""
        return range(self.line, self.line + self.was.count("\n") + 1)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}\n  - {self.before}\n  + {self.after}"


def _shortened(lines: str) -> str:
    return " ".join(COMMENT.sub("", lines).split())
