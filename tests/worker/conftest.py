"""Fixtures for the tests of the worker."""

import pytest

from worker.models.registry import read_registry


@pytest.fixture
def serve(tmp_path):
    """Writes a models file, reads it and loads all models."""

    def write_and_load(text):
        path = tmp_path / "models.toml"
        path.write_text(text)
        registry = read_registry(path, weights_cache=tmp_path / "cache")
        for name in registry.names:
            registry.load(name)
        return registry

    return write_and_load
