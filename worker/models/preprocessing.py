"""Preprocesses pixel values 0..255 for a network: `(x - subtract) / divide`."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FiniteFloat,
    field_validator,
)

Pictures = Any  # NumPy arrays or tensors (N, H, W, C), float32


class Preprocessing(BaseModel):
    """Reverse the channels for "bgr", then `(x - subtract) / divide` channel by channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subtract: tuple[FiniteFloat, ...] = (0.0,)  # one number, or one for each channel
    divide: tuple[FiniteFloat, ...] = (1.0,)
    channels: Literal["rgb", "bgr"] = "rgb"

    @field_validator("subtract", "divide", mode="before")
    @classmethod
    def _number_as_list(cls, value: object) -> object:
        return value if isinstance(value, list | tuple) else [value]

    @field_validator("subtract", "divide")
    @classmethod
    def _one_or_three(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if len(levels) not in (1, 3):
            raise ValueError(f"one number or a list of three is accepted; received {len(levels)}")
        return levels

    @field_validator("divide")
    @classmethod
    def _not_zero(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if 0 in levels:
            raise ValueError("0 is not accepted, as pixel values are divided by it")
        return levels

    def __call__(self, pictures: Pictures) -> Pictures:
        """Preprocess pictures (N, H, W, C) in RGB or grey; returns a new array or tensor."""
        ordered = pictures[..., ::-1] if self.channels == "bgr" else pictures
        subtract, divide = np.array(self.subtract, np.float32), np.array(self.divide, np.float32)
        return (ordered - subtract) / divide

    def __str__(self) -> str:
        name = next((name for name, each in NAMED.items() if each == self), None)
        if name == "none":
            return name
        order = "BGR, " if self.channels == "bgr" else ""
        formula = f"{order}(x - {_text(self.subtract)}) / {_text(self.divide)}"
        return f"{name}: {formula}" if name else formula

    @property
    def channel_count(self) -> int | None:
        """The number of channels it needs; None: any number."""
        per_channel = len(self.subtract) == 3 or len(self.divide) == 3
        return 3 if per_channel or self.channels == "bgr" else None


def _text(levels: tuple[float, ...]) -> str:
    numbers = [repr(level).removesuffix(".0") for level in levels]  # not rounded
    return numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"


NAMED: dict[str, Preprocessing] = {
    "none": Preprocessing(),
    "unit": Preprocessing(divide=(255.0,)),
    # The same as keras.applications.imagenet_utils.preprocess_input in this mode
    "tf": Preprocessing(subtract=(127.5,), divide=(127.5,)),
    "torch": Preprocessing(subtract=(123.675, 116.28, 103.53), divide=(58.395, 57.12, 57.375)),
    "caffe": Preprocessing(subtract=(103.939, 116.779, 123.68), channels="bgr"),
}


def _by_name(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in NAMED:
        raise ValueError(f"received {value!r}; accepted are {', '.join(NAMED)} or a table")
    return NAMED[value]


PreprocessingOrName = Annotated[Preprocessing, BeforeValidator(_by_name)]
