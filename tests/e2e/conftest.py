"""The embedded set that the tests here share."""

from collections.abc import Iterator

import pytest

from tests.e2e.embedded import Running, embedded_set


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    with embedded_set() as running:
        yield running
