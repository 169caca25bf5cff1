"""The HTTP status and the title of every error code; the only file that knows them."""

from collections.abc import Mapping

from service.schemas.documents import ErrorCode

STATUSES: Mapping[ErrorCode, tuple[int, str]] = {
    ErrorCode.BAD_REQUEST: (400, "Malformed request"),
    ErrorCode.UNAUTHORIZED: (401, "Missing or invalid key"),
    ErrorCode.FORBIDDEN: (403, "Key lacks the scope"),
    ErrorCode.CROSS_SITE: (403, "Cross-origin request"),
    ErrorCode.INVALID_LINK: (403, "Invalid link"),
    ErrorCode.NOT_FOUND: (404, "Not found"),
    ErrorCode.METHOD_NOT_ALLOWED: (405, "Method not allowed"),
    ErrorCode.NOT_ACCEPTABLE: (406, "Not acceptable"),
    ErrorCode.REQUEST_TIMEOUT: (408, "Request too slow"),
    ErrorCode.NOT_FINISHED: (409, "Not finished"),
    ErrorCode.STILL_RUNNING: (409, "Still running"),
    ErrorCode.HELD: (409, "Held"),
    ErrorCode.CANCELED: (409, "Canceled"),
    ErrorCode.MODEL_CHANGED: (409, "Another model is served under this name"),
    ErrorCode.WEBHOOK_CHANGED: (409, "Webhook changed meanwhile"),
    ErrorCode.WEBHOOK_DISABLED: (409, "Webhook disabled"),
    ErrorCode.TOO_MANY_WEBHOOKS: (409, "Too many webhooks"),
    ErrorCode.GONE: (410, "Expired"),
    ErrorCode.LINK_EXPIRED: (410, "Link expired"),
    ErrorCode.TOO_LARGE: (413, "Too large"),
    ErrorCode.URI_TOO_LONG: (414, "URI too long"),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: (415, "Unsupported media type"),
    ErrorCode.MISDIRECTED_REQUEST: (421, "Unknown host name"),
    ErrorCode.INVALID_IMAGE: (422, "Invalid picture"),
    ErrorCode.INVALID_IMAGE_URL: (422, "Picture cannot be fetched"),
    ErrorCode.INVALID_LABEL_MAP: (422, "Invalid label map"),
    ErrorCode.INVALID_SETTINGS: (422, "Invalid settings"),
    ErrorCode.INVALID_PARAMETER: (422, "Invalid parameter"),
    ErrorCode.IDEMPOTENCY_MISMATCH: (422, "Idempotency-Key reused for a different request"),
    ErrorCode.UNKNOWN_MODEL: (422, "Unknown model"),
    ErrorCode.UNKNOWN_OUTPUT: (422, "Unknown output"),
    ErrorCode.HEADERS_TOO_LARGE: (431, "Headers too large"),
    ErrorCode.NO_RESULT: (404, "No result"),
    ErrorCode.RATE_LIMITED: (429, "Too many requests"),
    ErrorCode.SHARE_FULL: (429, "Too many of your explanations are waiting"),
    ErrorCode.MODEL_FAILED: (500, "Model failed"),
    ErrorCode.WORKER_LOST: (500, "Worker lost"),
    ErrorCode.INTERNAL: (500, "Internal error"),
    ErrorCode.NOT_INSTALLED: (501, "Not installed"),
    ErrorCode.MODEL_UNAVAILABLE: (503, "Model unavailable"),
    ErrorCode.QUEUE_FULL: (503, "Queue full"),
    ErrorCode.BUSY: (503, "Server busy"),
    ErrorCode.NO_WORKER: (503, "No live worker"),
    ErrorCode.REDIS_UNAVAILABLE: (503, "Redis unavailable"),
    ErrorCode.STORE_UNAVAILABLE: (503, "Store unavailable"),
    ErrorCode.DATA_LOST: (503, "Data lost"),
    ErrorCode.DEADLINE_EXCEEDED: (504, "Deadline exceeded"),
}

# Statuses that Starlette raises itself, and their codes here
CODE_OF_STATUS: Mapping[int, ErrorCode] = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
}
