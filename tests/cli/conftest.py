"""What the tests of the command line take from those end to end."""

from tests.e2e.conftest import running

__all__ = ["running"]
