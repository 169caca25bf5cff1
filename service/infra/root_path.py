"""Validates the path under which a proxy serves the API, such as `/shapshot`."""

import re

MAX_LENGTH = 200  # characters
API_PATHS = (
    *(".well-known", "docs", "healthz", "metrics", "openapi.json", "static-offline-docs", "v1"),
    *("v1beta1", "web"),
)

_SEGMENTS = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_ACCEPTED = (
    "a root path must be one such as /shapshot: segments of letters, digits and . _ ~ -, none of "
    f"them . or .., no trailing slash, at most {MAX_LENGTH} characters, not beginning with a path "
    f"of the API ({', '.join(f'/{name}' for name in API_PATHS)})"
)


def checked_root_path(text: str) -> str:
    """Return the path if valid; empty: the API is served at the root. Raises ValueError.

    A root path must not begin like a path of the API: otherwise a request would not show whether
    the proxy stripped it.
    """
    names = text.split("/")[1:]
    sound = _SEGMENTS.fullmatch(text) and len(text) <= MAX_LENGTH and not {".", ".."} & {*names}
    if text and not (sound and names[0] not in API_PATHS):
        raise ValueError(_ACCEPTED)
    return text
