"""Libraries of optional extras in tests."""

import importlib
import os
from types import ModuleType

import pytest


def import_or_skip(module: str) -> ModuleType:
    """A missing extra skips a test at home, never in CI."""
    if os.environ.get("CI"):
        return importlib.import_module(module)
    return pytest.importorskip(module)
