"""Security headers on every response."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "private, no-cache",  # shared caches do not know the owner of a response
}


class SecurityHeaders:
    """Adds security headers that a response does not set, and those in the request's state."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                added = {**_SAFE, **_encoded(state.get("headers", {}))}
                more = [pair for pair in added.items() if pair[0] not in present]
                message["headers"] = [*message["headers"], *more]  # the original list is unchanged
            await send(message)

        await self._app(scope, receive, send_safe)


def _encoded(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


_SAFE = _encoded(SECURITY_HEADERS)
