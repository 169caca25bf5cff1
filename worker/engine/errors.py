"""Errors of the engine.

EngineError
├── RequestError      invalid settings
│   ├── MaskerError       an unknown masker, or one that does not fit this picture
│   ├── SuperpixelsError  superpixels that this picture cannot be cut into
│   ├── BudgetError       too few evaluations, or too many players, for the method
│   ├── OutputsError      outputs that the model does not have
│   └── LinkError         an unknown link function, or scores outside its domain
├── InvalidPictureError  pictures of a wrong shape, dtype or range
├── PredictorError    a model that is not an image classifier
└── ScoresError       a model that gave NaN or infinity
"""

from typing import Any


class EngineError(Exception):
    """Base of all errors the engine raises on purpose."""


class RequestError(EngineError):
    """The settings of an explanation are invalid.

    field: the invalid setting; None where it is no single setting. received, accepted: the value it
    had and the values it may have, as JSON.
    """

    def __init__(
        self, message: str, *, field: str | None = None, received: Any = None, accepted: Any = None
    ) -> None:
        super().__init__(message)
        self.field = field
        self.received = received
        self.accepted = accepted


class MaskerError(RequestError):
    """The masker is unknown, malformed, or does not fit the picture."""


class SuperpixelsError(RequestError):
    """The picture cannot be cut into these superpixels."""


class BudgetError(RequestError):
    """The method needs more evaluations, or takes fewer players."""


class OutputsError(RequestError):
    """The wanted outputs are not outputs of the model."""


class LinkError(RequestError):
    """The link function is unknown, or not defined on these scores."""


class InvalidPictureError(EngineError):
    """A picture has a wrong shape, type or range."""


class PredictorError(EngineError):
    """The model does not map pictures to one row of scores each."""


class ScoresError(EngineError):
    """The model gave NaN or infinity as a score."""
