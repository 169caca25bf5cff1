"""The methods that a path allows: for OPTIONS, and for the problem of any other method."""

from fastapi import Request
from starlette.responses import Response
from starlette.routing import Match

from service.api.http.problems import ApiError, problem_response
from service.schemas.documents import ErrorCode

HTTP_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def allowed_methods(request: Request) -> list[str]:
    """Returns the methods that the requested path allows, in alphabetical order."""
    allowed = ["OPTIONS"]
    for method in HTTP_METHODS:
        scope = dict(request.scope) | {"method": method}
        if any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes):
            allowed += ["GET", "HEAD"] if method == "GET" else [method]
    return sorted(allowed)


def options_or_not_allowed(request: Request) -> Response:
    """Answers OPTIONS with 204 and any other method with 405; both name the allowed methods."""
    allowed = allowed_methods(request)
    headers = {"Allow": ", ".join(allowed)}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    detail = f"{request.method} is not allowed here; allowed: {headers['Allow']}"
    code = ErrorCode.METHOD_NOT_ALLOWED
    return problem_response(ApiError(code, detail, None, request.method, allowed, headers))
