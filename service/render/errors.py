"""What this package refuses.

RenderError
├── InvalidAttributionsError  the arrays are broken, missing, misshapen or not finite
├── InvalidCurvesError        curves of faithfulness are missing, misshapen, not finite or of no
known metric
└── InvalidOptionError        an option of a drawing is outside what is accepted
"""


class RenderError(Exception):
    """Base of the errors of this package."""


class InvalidAttributionsError(RenderError):
    """The arrays are broken, missing, misshapen or not finite."""


class InvalidCurvesError(RenderError):
    """Curves of faithfulness are missing, misshapen, not finite or of no known metric."""


class InvalidOptionError(RenderError):
    """An option of a drawing is outside what is accepted."""
