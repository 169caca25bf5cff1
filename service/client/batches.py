"""Batches of one call, and what the server accepts as one batch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from service.client.pictures import Address, File
from service.schemas.documents import Batch, BatchMember, Status
from service.schemas.requests import MAX_IMAGES_IN_BATCH

MAX_BATCH_BYTES = 16 * 2**20  # of pictures; the server's default limit of a request is 20 MiB


@dataclass(frozen=True)
class BatchGroup:
    """Batches of one call, in the order of their pictures."""

    batches: list[Batch]

    @property
    def ids(self) -> list[str]:
        return [batch.id for batch in self.batches]

    @property
    def size(self) -> int:
        """The number of pictures sent."""
        return sum(batch.size for batch in self.batches)

    @property
    def done(self) -> bool:
        return all(batch.done for batch in self.batches)

    @property
    def starts(self) -> list[int]:
        """The position of each batch's first picture among all pictures."""
        return list(accumulate((batch.size for batch in self.batches), initial=0))[:-1]

    @property
    def explanations(self) -> list[BatchMember]:
        """In the order of the pictures; `position` counts over all batches."""
        return [
            member.model_copy(update={"position": start + member.position})
            for start, batch in zip(self.starts, self.batches, strict=True)
            for member in batch.explanations
        ]

    @property
    def incomplete(self) -> list[BatchMember]:
        """Those that failed, were canceled, expired or are not done."""
        return [each for each in self.explanations if each.status is not Status.SUCCEEDED]

    @property
    def counts(self) -> dict[Status, int]:
        """The number of explanations in each status."""
        return dict(Counter(each.status for each in self.explanations))

    @property
    def fraction(self) -> float:
        """The share of the work that is done, 0..1."""
        done = sum(batch.progress.fraction * batch.size for batch in self.batches)
        return done / self.size if self.size else 1.0


def fits(files: Sequence[File | Address], file: File | Address) -> bool:
    """Whether a batch of these files has room for another within the server's default limits.

    It has none where one is an address and the other is not: the server takes only one of them.
    """
    if not files:
        return True
    if any(isinstance(each, Address) != isinstance(file, Address) for each in files):
        return False
    size = sum(0 if isinstance(each, Address) else len(each[1]) for each in (*files, file))
    return len(files) < MAX_IMAGES_IN_BATCH and size <= MAX_BATCH_BYTES
