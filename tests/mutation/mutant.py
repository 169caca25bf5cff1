"""A mutant: a source file in which one place is changed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    file: str  # its path in the project
    line: int
    column: int
    was: str
    now: str
    source: str  # the whole changed file

    @classmethod
    def of(cls, file: str, source: str, start: int, end: int, now: str) -> "Mutant":
        """Replace source[start:end]."""
        line = source.count("\n", 0, start) + 1
        column = start - source.rfind("\n", 0, start)
        return cls(file, line, column, source[start:end], now, source[:start] + now + source[end:])

    @property
    def lines(self) -> range:
        """The lines that it changes."""
        return range(self.line, self.line + self.was.count("\n") + 1)

    def __str__(self) -> str:
        was, now = (" ".join(text.split()) for text in (self.was, self.now))
        return f"{self.file}:{self.line}:{self.column}: {was!r} -> {now!r}"
