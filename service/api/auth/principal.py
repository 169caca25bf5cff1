"""The caller of a request, and its permissions."""

from dataclasses import dataclass

from service.api.auth.keys import CONTAINED, Scope


@dataclass(frozen=True)
class Principal:
    """The name and scopes of a key; without keys, every caller is OPERATOR."""

    name: str | None
    scopes: frozenset[Scope]
    retention_s: int | None = None  # of its explanations; None: the server's

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    def sees(self, owner: str | None) -> bool:
        """Whether the caller may read what this owner submitted."""
        return self.may(Scope.AUDITOR) or owner == self.name

    def may_change(self, owner: str | None) -> bool:
        """Whether the caller may cancel or delete what this owner submitted."""
        return self.may(Scope.ADMIN) or owner == self.name

    @property
    def lists(self) -> str | None:
        """The owner whose explanations are listed; None: all owners."""
        return None if self.may(Scope.AUDITOR) else self.name


OPERATOR = Principal(None, CONTAINED[Scope.ADMIN])
# Sees every owner's, but is only let through to the one path that a verified link permits
LINK_HOLDER = Principal(None, frozenset({Scope.READ, Scope.AUDITOR}))
