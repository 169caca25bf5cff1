"""docs/redis.md names every key of Redis."""

import importlib
import pkgutil
from pathlib import Path

import service.jobs

DOCUMENTED = Path(__file__).parents[2] / "docs" / "redis.md"


def test_every_key_is_documented():
    modules = [
        importlib.import_module(f"service.jobs.{module.name}")
        for module in pkgutil.iter_modules(service.jobs.__path__)
    ]
    keys = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, str) and value.startswith("shapshot:")
    }
    text = DOCUMENTED.read_text()
    assert len(keys) > 5
    assert {key for key in keys if f"`{key}`" not in text} == set()
