"""/docs: Swagger UI from this server's own files; the CSP names its inline script by hash."""

import base64
import hashlib
import re

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_STATIC = "static-offline-docs"  # where FastAPIOffline mounts the files


@router.get("/docs")
async def get_docs(request: Request) -> HTMLResponse:
    """Show a page to read and try the API."""
    root = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Shapshot",
        swagger_js_url=f"{root}/{_STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/{_STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{root}/{_STATIC}/favicon.png",
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body))
    return page


def _policy(body: bytes) -> str:
    """Returns the CSP: this server's files, the page's own script, and the icons in its styles."""
    hashes = [base64.b64encode(hashlib.sha256(s).digest()).decode() for s in _INLINE.findall(body)]
    scripts = " ".join(["'self'", *(f"'sha256-{each}'" for each in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
