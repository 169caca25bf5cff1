"""What this package refuses.

RenderError
├── BadAttributions  the arrays are broken, missing, misshapen or not finite
├── BadCurves        curves of faithfulness are missing, misshapen, not finite or of no known metric
└── BadOption        an option of a drawing is outside what is accepted
"""


class RenderError(Exception):
    """Base of the errors of this package."""


class BadAttributions(RenderError):  # noqa: N818
    """The arrays are broken, missing, misshapen or not finite."""


class BadCurves(RenderError):  # noqa: N818
    """Curves of faithfulness are missing, misshapen, not finite or of no known metric."""


class BadOption(RenderError):  # noqa: N818
    """An option of a drawing is outside what is accepted."""
