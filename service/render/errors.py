"""Errors of this package.

RenderError
├── InvalidAttributionsError  the arrays are broken, missing, misshapen or not finite
├── InvalidCurvesError        the curves are missing, misshapen, not finite or of unknown metric
└── InvalidOptionError        an option of a drawing is outside the accepted values
"""


class RenderError(Exception):
    """Base of the errors of this package."""


class InvalidAttributionsError(RenderError):
    """The arrays are broken, missing, misshapen or not finite."""


class InvalidCurvesError(RenderError):
    """The faithfulness curves are missing, misshapen, not finite or of unknown metric."""


class InvalidOptionError(RenderError):
    """An option of a drawing is outside the accepted values."""
