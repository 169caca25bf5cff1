"""The dashboard: its page at `/`, for browsers, and the files under `/web/`.

The files are the same for everyone and hold no secret, so they need no key; what they show comes
from `/v1`, with the key that a person signs in with.
"""

import hashlib
from dataclasses import dataclass
from html import escape
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

import service
from service.api.http.conditional import not_modified

FOLDER = Path(service.__file__).parent / "web"
MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class StaticFile:
    """A file of the dashboard in memory."""

    content: bytes
    media_type: str

    @property
    def etag(self) -> str:
        return f'W/"{hashlib.sha256(self.content).hexdigest()[:32]}"'


FILES = {
    path.relative_to(FOLDER).as_posix(): StaticFile(path.read_bytes(), MEDIA_TYPES[path.suffix])
    for path in sorted(FOLDER.rglob("*.*"))
}
_PRELOADS = "".join(  # else a browser learns of a module only from the one that imports it
    f'<link rel="modulepreload" href="web/{name}" />\n' for name in FILES if name.endswith(".js")
).encode()


@router.get("/web/{path:path}")
async def get_file(request: Request, path: str) -> Response:
    """A script, a style or an icon of the dashboard."""
    if path not in FILES:
        raise HTTPException(404)
    return _response(request, FILES[path])


def page(request: Request) -> Response:
    """The dashboard's page; below a root path, its relative links start from there."""
    index, root_path = FILES["index.html"], request.scope["root_path"]
    content = index.content.replace(b"</head>", _PRELOADS + b"</head>", 1)
    if root_path:
        base = f'<head>\n    <base href="{escape(root_path)}/" />'.encode()
        content = content.replace(b"<head>", base, 1)
    return _response(request, StaticFile(content, index.media_type))


def _response(request: Request, file: StaticFile) -> Response:
    headers = {"ETag": file.etag, "Content-Security-Policy": POLICY}
    unchanged = not_modified(request, file.etag)
    response = unchanged or Response(file.content, media_type=file.media_type)
    response.headers.update(headers)
    return response
