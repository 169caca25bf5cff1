"""The version of the package, installed or run from its sources."""

import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@cache
def version() -> str:
    try:
        return metadata.version("shapshot")
    except metadata.PackageNotFoundError:
        with PYPROJECT.open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])
