"""What the tests of the client take from those of the API."""

from tests.api.conftest import hand

__all__ = ["hand"]
