"""The document of an explanation, bound to its client to fetch its regions."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from pydantic import PrivateAttr

from service.schemas import documents
from service.schemas.regions import Regions

T = TypeVar("T")  # the result of a fetch: the regions, or an awaitable of them


class BoundExplanation(documents.Explanation, Generic[T]):
    """The document of an explanation, with access to its regions."""

    _ask: Callable[[str, Sequence[str | int]], T] = PrivateAttr()

    @classmethod
    def of(
        cls, document: documents.Explanation, ask: Callable[[str, Sequence[str | int]], T]
    ) -> "BoundExplanation[T]":
        """Bind a document to a function that fetches its regions."""
        bound = cls.model_construct(**dict(document))
        bound._ask = ask
        return bound

    def regions(self, output: Sequence[str | int] = ()) -> T:
        """Get each region's attribution to each output, or to those given by index or label.

        Raises ShapshotError, httpx.HTTPError.
        """
        return self._ask(self.id, output)


Explanation = BoundExplanation[Regions]
AsyncExplanation = BoundExplanation[Awaitable[Regions]]
