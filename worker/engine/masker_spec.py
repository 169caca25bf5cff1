"""The names of maskers, as written in a request: `inpaint_telea`, `blur(128,128)`, ..."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from worker.engine.errors import MaskerError

LARGEST_KERNEL = 4096  # pixels
LARGEST_INTENSITY = 255.0
ACCEPTED = (
    f"inpaint_telea, inpaint_ns, mean, blur(width,height) with whole numbers in "
    f"1..{LARGEST_KERNEL}, and constant(value) or constant(value,value,...), one for each channel, "
    f"with values in 0..{LARGEST_INTENSITY:g}"
)


@dataclass(frozen=True)
class MaskerSpec:
    """A masker by name and arguments, not yet fitted to a picture."""

    name: str
    arguments: tuple[float, ...] = ()

    def __str__(self) -> str:
        numbers = ",".join(f"{argument:g}" for argument in self.arguments)
        return f"{self.name}({numbers})" if numbers else self.name


def parse_masker(spec: str) -> MaskerSpec:
    """Read a masker from text; raises MaskerError, naming what is accepted, where it is none."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]+)\))?\s*", spec)
    if match is not None:
        name, arguments = match[1], _numbers(match[2])
        if name in MASKERS and arguments is not None and MASKERS[name](arguments):
            return MaskerSpec(name, arguments)
    raise MaskerError(f"masker is {spec!r}; accepted are {ACCEPTED}")


def _numbers(text: str | None) -> tuple[float, ...] | None:
    try:
        return tuple(float(number) for number in text.split(",")) if text else ()
    except ValueError:
        return None


def _nothing(arguments: tuple[float, ...]) -> bool:
    return not arguments


def _kernel(arguments: tuple[float, ...]) -> bool:
    return len(arguments) == 2 and all(
        extent.is_integer() and 1 <= extent <= LARGEST_KERNEL for extent in arguments
    )


def _intensities(arguments: tuple[float, ...]) -> bool:
    return bool(arguments) and all(0 <= value <= LARGEST_INTENSITY for value in arguments)


MASKERS: dict[str, Callable[[tuple[float, ...]], bool]] = {
    "inpaint_telea": _nothing,
    "inpaint_ns": _nothing,
    "blur": _kernel,
    "mean": _nothing,
    "constant": _intensities,
}
