"""The specification of a masker, such as `MaskerSpec("blur", (128, 128))`."""

from dataclasses import dataclass

from worker.engine.errors import MaskerError

MAX_KERNEL = 4096  # pixels
LARGEST_LEVEL = 255.0
ACCEPTED = (
    f"inpaint_telea, inpaint_ns, mean, blur(width,height) with whole numbers in "
    f"1..{MAX_KERNEL}, and constant(value) or constant(value,value,...), one value for each "
    f"channel, with values in 0..{LARGEST_LEVEL:g}"
)


@dataclass(frozen=True)
class MaskerSpec:
    """A masker's kind and numbers, not yet fitted to a picture.

    Raises MaskerError for an unknown kind or wrong numbers; its message names the accepted ones.
    """

    kind: str
    numbers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        match self.kind:
            case "inpaint_telea" | "inpaint_ns" | "mean":
                valid = not self.numbers
            case "blur":
                valid = len(self.numbers) == 2 and all(
                    float(side).is_integer() and 1 <= side <= MAX_KERNEL for side in self.numbers
                )
            case "constant":
                levels = self.numbers
                valid = bool(levels) and all(0 <= level <= LARGEST_LEVEL for level in levels)
            case _:
                valid = False
        if not valid:
            raise MaskerError(f"masker is {self}; accepted are {ACCEPTED}")

    def __str__(self) -> str:
        numbers = ",".join(f"{number:g}" for number in self.numbers)
        return f"{self.kind}({numbers})" if numbers else self.kind


INPAINT_TELEA = MaskerSpec("inpaint_telea")
