"""What the tests of the worker share."""

import pytest

from worker.models.registry import read_registry


@pytest.fixture
def serve(tmp_path):
    """Write a file of models, read it and load all."""

    def write_and_load(text):
        path = tmp_path / "models.toml"
        path.write_text(text)
        registry = read_registry(path, weights_cache=tmp_path / "cache")
        for name in registry.names:
            registry.load(name)
        return registry

    return write_and_load
