"""How explanations were made: what differs between the rows of a figure, and what is common."""

from collections.abc import Sequence
from dataclasses import dataclass

SEPARATOR = " · "
DIGITS = len("sha256:") + 12  # of a fingerprint, shown


@dataclass(frozen=True)
class Provenance:
    """The origin of one explanation: enough to tell it from others and to find it again."""

    id: str
    created_at: str  # ISO 8601
    software: str  # name and version
    model: str
    fingerprint: str | None
    method: str
    players: str
    max_evals: int
    masker: str
    picture: str | None = None  # name of its file
    compared: str | None = None  # the model that it is compared with
    compared_fingerprint: str | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What a figure shows, without the id."""
        return {
            "picture": self.picture or "",
            "model": self.model,
            "fingerprint": (self.fingerprint or "")[:DIGITS],
            "compared with": self.compared or "",
            "method": self.method,
            "players": self.players,
            "evaluations": f"at most {self.max_evals}",
            "masker": self.masker,
        }

    @property
    def metadata(self) -> dict[str, str]:
        """What a file stores, by keyword."""
        return {
            "Software": self.software,
            "Explanation": self.id,
            "Creation Time": self.created_at,
            "Model": self.model,
            "Model Fingerprint": self.fingerprint or "",
            "Compared Model": self.compared or "",
            "Compared Model Fingerprint": self.compared_fingerprint or "",
            "Method": self.method,
            "Players": self.players,
            "Masker": self.masker,
        }


def titles(origins: Sequence[Provenance]) -> list[str]:
    """Returns for each row the facts that differ between rows; empty if none does."""
    shown = [origin.facts for origin in origins]
    different = [name for name in shown[0] if len({facts[name] for facts in shown}) > 1]
    return [_joined(facts, different) for facts in shown]


def common(origins: Sequence[Provenance]) -> str:
    """Returns the facts that are the same for all rows."""
    shown = [origin.facts for origin in origins]
    return _joined(shown[0], [name for name in shown[0] if len({each[name] for each in shown}) < 2])


def metadata(origins: Sequence[Provenance]) -> dict[str, str]:
    """Returns the metadata of a file: values of rows that differ are listed in their order."""
    found = [origin.metadata for origin in origins]
    values = {name: [each[name] for each in found] for name in (found[0] if found else {})}
    return {
        name: given[0] if len(set(given)) == 1 else ", ".join(given)
        for name, given in values.items()
        if any(given)
    }


def _joined(facts: dict[str, str], names: Sequence[str]) -> str:
    return SEPARATOR.join(f"{name} {facts[name]}" for name in names if facts[name])
