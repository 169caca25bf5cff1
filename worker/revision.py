"""The worker's revision: two revisions may give different values for the same request.

The revision is the digest of the sources, so no version number must be raised by hand when values
change. A change without effect on values, such as a comment, changes it too; some results are then
computed again.
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
    """Return the sha256 of the sources of the worker and of the packages in SHARED."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted(folder.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return f"sha256:{digest.hexdigest()}"
