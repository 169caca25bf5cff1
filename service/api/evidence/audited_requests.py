"""Notes in the audit log which contents were read, and which requests were refused.

An entry is appended before the first byte of a content is sent; where that fails, it is not sent.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs

import redis
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.auth.failed_attempts import normalized_address
from service.api.evidence.audit_trail import AuditTrail
from service.api.http.metrics import route_of
from service.api.http.problems import ApiError, problem_response, retry_after
from service.infra.settings.api import ApiSettings
from service.jobs.audit import set_actor, set_address
from service.jobs.redis_keys import is_id
from service.jobs.scripts import NewEntry
from service.schemas.audit import AuditAction
from service.schemas.documents import ErrorCode

READS: Mapping[str, str] = {  # by the operation: what it shows; drawings without their format
    "explain_endpoint": "arrays",
    "explain_endpoint_beta": "arrays",
    "explain_instances": "arrays",
    "get_attributions": "arrays",
    "get_batch_attributions": "arrays",
    "get_batch_heatmap": "figure",
    "get_batch_report": "report",
    "get_bundle": "bundle",
    "get_faithfulness": "curves",
    "get_faithfulness_chart": "figure",
    "get_figure": "figure",
    "get_heatmap": "figure",
    "get_label_map": "label_map",
    "get_masked_picture": "masked_picture",
    "get_picture": "picture",
    "get_preview": "preview",
    "get_record": "record",
    "get_regions": "regions",
    "get_report": "report",
    "get_reproduction": "reproduction",
    "get_scores": "scores",
    "get_thumbnail": "thumbnail",
    "list_reviews": "reviews",
    "score_coalitions": "scores",
}
OTHERS: Mapping[str, tuple[AuditAction, str]] = {
    "change_webhook": (AuditAction.CONFIGURED, "webhook changed"),
    "create_batch_link": (AuditAction.LINK_MADE, "link"),
    "create_link": (AuditAction.LINK_MADE, "link"),
    "create_webhook": (AuditAction.CONFIGURED, "webhook made"),
    "delete_webhook": (AuditAction.CONFIGURED, "webhook removed"),
    "get_audit_segments": (AuditAction.AUDIT_READ, "segments"),
    "list_audit": (AuditAction.AUDIT_READ, "entries"),
    "rotate_webhook": (AuditAction.CONFIGURED, "webhook secret replaced"),
}
REFUSALS = (401, 403)
log = structlog.get_logger(__name__)


class AuditedRequests:
    """Appends to the audit log what the responses of the app show or refuse."""

    def __init__(self, app: ASGIApp, trail: AuditTrail, settings: ApiSettings) -> None:
        self._app = app
        self._trail = trail
        self._with_addresses = settings.audit_addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else None
        set_actor(None)
        set_address(address if self._with_addresses else None)
        withheld = False

        async def noting(message: Message) -> None:
            nonlocal withheld
            if message["type"] == "http.response.start":
                entries = self._entries(scope, message["status"])
                try:
                    await self._trail.note(entries, _who(scope, address))
                except redis.RedisError as error:
                    log.error("audit log not written", reason=str(error))
                    withheld = message["status"] not in REFUSALS
            if not withheld:
                await send(message)
            elif message["type"] == "http.response.start":
                detail = "the audit log cannot be written, so nothing is shown; try again later"
                code = ErrorCode.REDIS_UNAVAILABLE
                problem = problem_response(ApiError(code, detail, headers=retry_after()))
                await problem(scope, receive, send)

        await self._app(scope, receive, noting)

    def _entries(self, scope: Scope, status: int) -> list[NewEntry]:
        """Returns what is to be noted of a response that is about to begin."""
        name = getattr(scope.get("route"), "name", "")
        operation = name.removesuffix("_svg").removesuffix("_pdf")
        ids = _ids_of(scope)
        if status in REFUSALS:
            what = f"{scope['method']} {route_of(scope)}"
            known = scope.get("state", {}).get("caller") is not None  # else any id would be noted
            detail, about = scope.get("problem"), ids if known else [None]
            action = AuditAction.REFUSED
            return [NewEntry(action, id_, what, "refused", detail) for id_ in about]
        if not 200 <= status < 300 or scope["method"] == "HEAD":
            return []
        if operation in OTHERS:
            action, what = OTHERS[operation]
            return [NewEntry(action, id_, what) for id_ in ids]
        if operation in READS and status != 202 and self._trail.has_reads:  # 202 shows nothing yet
            by_link = scope.get("state", {}).get("link") is not None
            action = AuditAction.LINK_USED if by_link else AuditAction.READ
            return [NewEntry(action, id_, READS[operation]) for id_ in ids]
        return []


def _ids_of(scope: Scope) -> list[str | None]:
    """Returns the ids of the explanations or the batch that a request is about; None: of none."""
    shown: list[str | None] = scope.get("state", {}).get("shown", [])
    if shown:  # by a request that does not name them
        return shown
    params = scope.get("path_params", {})
    named = [params.get("explanation_id") or params.get("batch_id")]
    if named == [None]:  # those of a figure of several pictures
        named = list(parse_qs(scope["query_string"].decode("latin-1")).get("id", []))
    found = [id_ for id_ in dict.fromkeys(named) if id_ and is_id(id_)]
    return list(found) or [None]


def _who(scope: Scope, address: str | None) -> object:
    caller = scope.get("state", {}).get("caller")
    return caller.name if caller and caller.name else normalized_address(address)
