"""Unique names for outputs in drawings."""

from collections import Counter
from collections.abc import Sequence


def disambiguate(names: Sequence[str], indices: Sequence[int]) -> list[str]:
    """Prefixes the index to names that several outputs share; replaces a blank name by its index.

    The index comes first because long names are cut at the end.
    """
    read = [" ".join(name.split()) for name in names]
    outputs: Counter[str] = Counter()
    for name, _ in set(zip(read, indices, strict=True)):
        outputs[name] += 1
    return [
        by_index(index) if not name else f"{index}: {name}" if outputs[name] > 1 else shown
        for shown, name, index in zip(names, read, indices, strict=True)
    ]


def by_index(index: int) -> str:
    """The name of an output that has none, or none that the fonts can write."""
    return f"output {index}"
