"""The document of an explanation, as a client has it: it knows where to ask for more."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from pydantic import PrivateAttr

from service.schemas import documents
from service.schemas.regions import Regions

T = TypeVar("T")  # what asking gives: the regions, or an awaitable of them


class BoundExplanation(documents.Explanation, Generic[T]):
    """A document and what was found beside it."""

    _ask: Callable[[str, Sequence[str | int]], T] = PrivateAttr()

    @classmethod
    def of(
        cls, document: documents.Explanation, ask: Callable[[str, Sequence[str | int]], T]
    ) -> "BoundExplanation[T]":
        """The same document, that asks for its regions so."""
        bound = cls.model_construct(**dict(document))
        bound._ask = ask
        return bound

    def regions(self, output: Sequence[str | int] = ()) -> T:
        """What each region owes to each output, of all unless some are named by index or label.

        Raises ShapshotError, httpx.HTTPError.
        """
        return self._ask(self.id, output)


Explanation = BoundExplanation[Regions]
AsyncExplanation = BoundExplanation[Awaitable[Regions]]
