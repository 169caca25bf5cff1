"""Which program computes: another one may give other values for the same request.

It is the digest of the sources, so that nobody has to count up a number when values change. What
changes none, such as a comment, gives another one too; then some results are computed anew.
"""

import hashlib
from functools import cache
from pathlib import Path

import service

SHARED = ("schemas", "jobs", "images", "infra")
SOURCES = (
    Path(__file__).parent,
    *(Path(service.__file__).parent / package for package in SHARED),
)


@cache
def revision() -> str:
    """The sha256 of the worker's sources, and of those that it shares with the service."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted(folder.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return f"sha256:{digest.hexdigest()}"
