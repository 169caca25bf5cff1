"""Who asks, and what they may do and see."""

from dataclasses import dataclass

from service.api.auth.keys import CONTAINED, Scope


@dataclass(frozen=True)
class Principal:
    """The name of a key with its scopes; where there are no keys, everyone is the operator."""

    name: str | None
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    def sees(self, owner: str | None) -> bool:
        """What this owner made."""
        return self.may(Scope.ADMIN) or owner == self.name

    @property
    def lists(self) -> str | None:
        """Whose explanations; None: everybody's."""
        return None if self.may(Scope.ADMIN) else self.name


OPERATOR = Principal(None, CONTAINED[Scope.ADMIN])
