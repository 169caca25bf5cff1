"""Imports the libraries of optional extras in tests."""

import importlib
import os
from types import ModuleType

import pytest

# XLA_FLAGS: else JAX optimizes drawing weights
QUICKLY = "--xla_backend_optimization_level=0"


def import_or_skip(module: str) -> ModuleType:
    """Skip a test for a missing extra, but raise an error in CI."""
    if os.environ.get("CI"):
        return importlib.import_module(module)
    return pytest.importorskip(module)
