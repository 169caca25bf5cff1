"""Reads JSON a piece at a time, so that a long list need not be in memory as a whole.

Each piece is parsed by the json module, which keeps other threads from running meanwhile: the
pieces should be short.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has duplicate field names")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates)


class JsonReader:
    """A place in a text. All methods raise ValueError where the text is not JSON.

    `fields` and `elements` stop at each value, which the caller reads before it goes on.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    @property
    def next(self) -> str:
        """The next character that is not white space; empty at the end."""
        self._place = _SPACE.match(self._text, self._place).end()  # type: ignore[union-attr]
        return self._text[self._place : self._place + 1]

    def value(self) -> Any:
        """Parses a whole value. NaN and infinity are accepted. Raises RecursionError, too."""
        if not self.next:
            raise ValueError("it ends too early")
        value, self._place = _DECODER.raw_decode(self._text, self._place)
        return value

    def source(self) -> str:
        """Parses a whole value; returns its text."""
        start = self._place
        self.value()
        return self._text[start : self._place]

    def fields(self) -> Iterator[str]:
        """Yields the name of each field of an object."""
        for _ in self._items("{", "}"):
            if self.next != '"':
                raise self._unexpected("a field name")
            name: str = self.value()
            self._expect(":")
            yield name

    def elements(self) -> Iterator[int]:
        """Yields the position of each element of an array."""
        return self._items("[", "]")

    def end(self) -> None:
        """Checks that nothing follows."""
        if self.next:
            raise self._unexpected("the end")

    def _items(self, first: str, last: str) -> Iterator[int]:
        self._expect(first)
        count = 0
        while count or self.next != last:
            yield count
            count += 1
            if self.next != ",":
                break
            self._expect(",")
        self._expect(last)

    def _expect(self, character: str) -> None:
        if self.next != character:
            raise self._unexpected(repr(character))
        self._place += 1

    def _unexpected(self, wanted: str) -> ValueError:
        found = repr(self.next) if self.next else "the end"
        return ValueError(f"expected {wanted}, found {found} at character {self._place}")
