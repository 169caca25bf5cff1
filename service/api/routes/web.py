"""The dashboard: its page at `/`, for browsers, and the files under `/web/`.

The files are the same for everyone and hold no secret, so they need no key; what they show comes
from `/v1`, with the key that a person signs in with.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from html import escape
from pathlib import Path
from urllib.parse import urljoin

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
FOREVER = f"public, max-age={365 * 86_400}, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class StaticFile:
    """A file of the dashboard in memory."""

    content: bytes
    media_type: str

    @cached_property
    def etag(self) -> str:
        return f'W/"{hashlib.sha256(self.content).hexdigest()[:32]}"'

    @cached_property
    def gzipped(self) -> bytes:
        return gzip.compress(self.content, mtime=0)


FILES = {
    path.relative_to(FOLDER).as_posix(): StaticFile(path.read_bytes(), MEDIA_TYPES[path.suffix])
    for path in sorted(FOLDER.rglob("*.*"))
}
FILES["style.css"] = StaticFile(
    re.sub(
        rb'@import url\("([^"]+)"\);',
        lambda line: FILES[line[1].decode()].content,
        FILES["style.css"].content,
    ),
    "text/css",
)
# Of all files: the page names them below it, so that a browser keeps them and asks for none again
# until one has changed
VERSION = hashlib.sha256("".join(f"{n}{FILES[n].etag}" for n in FILES).encode()).hexdigest()[:16]


def imported(*names: str) -> list[str]:
    """Returns these modules and, in turn, all that they import statically."""
    found = list(names)
    for name in found:  # grows meanwhile
        text = FILES[name].content.decode()
        for path in re.findall(r'^(?:import|export|}) .*"(\..+)";$', text, re.MULTILINE):
            if (module := urljoin(name, path)) not in found:
                found.append(module)
    return found


# Those of the first view are named by the page: else a browser learns of a module only from the
# one that imports it. app.js loads the other screens when they are opened, or a little later.
FIRST_VIEW = imported("app.js", "screens/explanations.js")
_PRELOADS = "".join(f'<link rel="modulepreload" href="web/{name}" />\n' for name in FIRST_VIEW)
_INDEX = (
    FILES["index.html"]
    .content.decode()
    .replace("</head>", f"{_PRELOADS}</head>", 1)
    .replace('"web/', f'"web/{VERSION}/')
)


@router.get("/web/{path:path}")
async def get_file(request: Request, path: str) -> Response:
    """A script, a style or an icon of the dashboard."""
    versioned = path.startswith(f"{VERSION}/")
    name = path.removeprefix(f"{VERSION}/")
    if name not in FILES:
        raise HTTPException(404)
    return _response(request, FILES[name], forever=versioned)


def page(request: Request) -> Response:
    """The dashboard's page; below a root path, its relative links start from there."""
    return _response(request, _page(request.scope["root_path"]), forever=False)


@lru_cache
def _page(root_path: str) -> StaticFile:
    base = f'<head>\n    <base href="{escape(root_path)}/" />' if root_path else "<head>"
    return StaticFile(_INDEX.replace("<head>", base, 1).encode(), MEDIA_TYPES[".html"])


def _response(request: Request, file: StaticFile, *, forever: bool) -> Response:
    headers = {
        "ETag": file.etag,
        "Content-Security-Policy": POLICY,
        "Cache-Control": FOREVER if forever else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if (unchanged := not_modified(request, file.etag)) is not None:
        response = unchanged
    elif "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        response = Response(file.gzipped, media_type=file.media_type)
    else:
        response = Response(file.content, media_type=file.media_type)
    response.headers.update(headers)
    return response
