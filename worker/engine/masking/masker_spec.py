"""The specification of a masker, such as `MaskerSpec("blur", (128, 128))`."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.engine.errors import MaskerError

MAX_KERNEL = 4096  # pixels
LARGEST_LEVEL = 255.0
ACCEPTED = (
    f"inpaint_telea, inpaint_ns, mean, blur(width,height) with whole numbers in "
    f"1..{MAX_KERNEL}, and constant(value) or constant(value,value,...), one for each channel, "
    f"with values in 0..{LARGEST_LEVEL:g}"
)


@dataclass(frozen=True)
class MaskerSpec:
    """A masker's kind and numbers, not yet fitted to a picture.

    Raises MaskerError for an unknown kind or wrong numbers; its message names the accepted ones.
    """

    kind: str
    numbers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in MASKERS or not MASKERS[self.kind](self.numbers):
            raise MaskerError(f"masker is {self}; accepted are {ACCEPTED}")

    def __str__(self) -> str:
        numbers = ",".join(f"{number:g}" for number in self.numbers)
        return f"{self.kind}({numbers})" if numbers else self.kind


def _nothing(numbers: tuple[float, ...]) -> bool:
    return not numbers


def _kernel(numbers: tuple[float, ...]) -> bool:
    return len(numbers) == 2 and all(
        float(extent).is_integer() and 1 <= extent <= MAX_KERNEL for extent in numbers
    )


def _levels(numbers: tuple[float, ...]) -> bool:
    return bool(numbers) and all(0 <= level <= LARGEST_LEVEL for level in numbers)


MASKERS: dict[str, Callable[[tuple[float, ...]], bool]] = {
    "inpaint_telea": _nothing,
    "inpaint_ns": _nothing,
    "blur": _kernel,
    "mean": _nothing,
    "constant": _levels,
}

INPAINT_TELEA = MaskerSpec("inpaint_telea")
