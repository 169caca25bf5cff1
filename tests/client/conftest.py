"""What the tests of the client take from those of the API."""

from tests.api.conftest import fake_worker

__all__ = ["fake_worker"]
