"""What outputs are called where they are read: each by a name of its own."""

from collections import Counter
from collections.abc import Sequence


def disambiguate(names: Sequence[str], indices: Sequence[int]) -> list[str]:
    """The names, with the index before those that several outputs have; a blank one is its index.

    The index stands first, as a long name is cut at its end.
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
    """What an output is called that has no name, or none that can be written."""
    return f"output {index}"
