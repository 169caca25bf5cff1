"""Takes the token of a signed link out of the query, before anything else reads the query.

`auth/links.py` signs and verifies. The parameter is called `sig`, which OpenTelemetry redacts in
spans; the access log has no queries.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.jobs.redis_keys import BATCH_ID, EXPLANATION_ID
from service.render import FORMATS

PARAMETER = "sig"
REPORTS = ("report.html", "report.pdf")  # of a batch, too
RESULTS = (  # without record and bundle.zip, which name the owner
    *("attributions", "faithfulness", "regions", "thumbnail.png", *REPORTS),
    *(f"{drawing}.{form}" for drawing in ("faithfulness", "heatmap") for form in FORMATS),
)
UPLOADS = ("label_map", "picture")
_PATHS = [
    re.compile(f"/v1/{of}/({id_.pattern})/({'|'.join(map(re.escape, names))})")
    for of, id_, names in (
        ("explanations", EXPLANATION_ID, (*RESULTS, *UPLOADS)),
        ("batches", BATCH_ID, REPORTS),
    )
]


@dataclass(frozen=True)
class PresentedLink:
    """The token of a request, and the path that it requests."""

    id: str  # of the explanation, or of the batch
    path: str  # below it, with its query, normalized
    token: str

    @property
    def is_result(self) -> bool:
        return self.path.partition("?")[0] in RESULTS


def normalized(path: str, pairs: list[tuple[str, str]]) -> str:
    """Returns a path with its query, the same for all spellings of it."""
    return f"{path}?{urlencode(pairs)}" if pairs else path


class SignedLinks:
    """Removes the token from GET and HEAD of a linkable path, and keeps it in the request's state.

    A client may keep the response for no longer than the link is valid: the Guard sets
    `link_left_s` once it has verified the token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        linkable = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        path = scope["path"].removeprefix(scope["root_path"]) if linkable else ""
        match = next(filter(None, (each.fullmatch(path) for each in _PATHS)), None)
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), True) if match else []
        tokens = [value for name, value in pairs if name == PARAMETER]
        if not match or not tokens:
            await self._app(scope, receive, send)
            return
        others = [pair for pair in pairs if pair[0] != PARAMETER]
        scope["query_string"] = urlencode(others).encode()
        state = scope.setdefault("state", {})
        wanted = normalized(match[2], others)
        state["link"] = PresentedLink(match[1], wanted, tokens[0] if len(tokens) == 1 else "")

        async def send_bounded(message: Message) -> None:
            if message["type"] == "http.response.start" and "link_left_s" in state:
                headers = MutableHeaders(scope=message)
                if "max-age" in headers.get("cache-control", ""):
                    headers["Cache-Control"] = f"private, max-age={state['link_left_s']}"
            await send(message)

        await self._app(scope, receive, send_bounded)
