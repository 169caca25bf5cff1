"""What the engine refuses, and why.

EngineError
├── RequestError      settings no explanation can have
│   ├── MaskerError       an unknown masker, or one this picture cannot have
│   ├── SuperpixelsError  superpixels this picture cannot be cut into
│   ├── BudgetError       too few evaluations, or too many players, for the method
│   ├── OutputsError      outputs the model does not have
│   └── LinkError         scores the link function is not defined on
├── InvalidPictureError      pictures of a wrong shape, type or range
├── PredictorError    a model that is no image classifier
└── ScoresError       a model that answered with NaN or infinity
"""

from typing import Any


class EngineError(Exception):
    """Base of all errors the engine raises on purpose."""


class RequestError(EngineError):
    """The settings of an explanation are wrong.

    field: which of them, where it is one. received, accepted: what it was, and what could be, as
    JSON has it.
    """

    def __init__(
        self, said: str, *, field: str | None = None, received: Any = None, accepted: Any = None
    ) -> None:
        super().__init__(said)
        self.field = field
        self.received = received
        self.accepted = accepted


class MaskerError(RequestError):
    """The masker is unknown, malformed, or does not fit the picture."""


class SuperpixelsError(RequestError):
    """The picture cannot be cut into these superpixels."""


class BudgetError(RequestError):
    """The method cannot do with so few evaluations, or with so many players."""


class OutputsError(RequestError):
    """The wanted outputs are not outputs of the model."""


class LinkError(RequestError):
    """The link function is unknown, or not defined on these scores."""


class InvalidPictureError(EngineError):
    """A picture has a wrong shape, type or range."""


class PredictorError(EngineError):
    """The model does not map pictures to one row of scores each."""


class ScoresError(EngineError):
    """The model answered with NaN or infinity."""
