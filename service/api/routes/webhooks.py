"""Webhooks: addresses that are told of events, and their deliveries."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.auth.keys import Scope
from service.api.http.openapi_responses import IDEMPOTENCY_KEY, problems
from service.api.http.problems import ApiError
from service.api.outbound.destinations import OutboundError
from service.api.services import RequestServices, RequestServicesDep
from service.api.submission.idempotency import idempotent_request, make_once
from service.api.uploads.json_body import Document, read_json
from service.api.uploads.upload import JSON
from service.api.webhooks import documents
from service.api.webhooks.secrets import (
    SecretError,
    checked_secret,
    new_secret,
    signature_of,
)
from service.jobs.claims import IdempotencyClaim, IdempotentRequest
from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import WEBHOOK_ID, new_webhook_id
from service.jobs.webhooks import (
    ChangedError,
    FullError,
    StoredSecret,
    WebhookConfig,
    WebhookState,
)
from service.schemas.documents import ErrorCode
from service.schemas.webhooks import (
    ROTATION_S,
    Signature,
    Webhook,
    WebhookChange,
    WebhookList,
    WebhookRequest,
    WebhookRotation,
    WebhookWithSecret,
)

CHECK_S = 10.0  # for resolving the host of a new webhook
MAX_SECRETS = 4  # that sign at the same time
BY_HAND = "its owner disabled it"
_BODY = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.CROSS_SITE,
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.BUSY,
    ErrorCode.INVALID_PARAMETER,
)
_MADE_ONCE = (ErrorCode.GONE, ErrorCode.IDEMPOTENCY_MISMATCH)
_ONCE = {"parameters": [IDEMPOTENCY_KEY]}

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


def _takes(model: str, example: dict[str, Any]) -> dict[str, Any]:
    """Describes the body of a request."""
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"requestBody": {"content": {JSON: {"schema": schema, "example": example}}}}


_EXAMPLE = {"url": "https://receiver.example/shapshot", "events": ["explanation.succeeded"]}


@router.post(
    "",
    status_code=201,
    openapi_extra=_takes("WebhookRequest", _EXAMPLE) | _ONCE,
    responses=problems(ErrorCode.TOO_MANY_WEBHOOKS, *_MADE_ONCE, *_BODY),
)
async def create_webhook(request: Request, services: RequestServicesDep) -> WebhookWithSecret:
    """Add a webhook; the response shows its secret once, and again under its Idempotency-Key.

    It is told of the explanations of its owner, which is the name of the key.
    """
    wanted = await _read(request, services, WebhookRequest)
    if wanted.all_owners and not services.caller.may(Scope.ADMIN):
        detail = f"all_owners needs a key of scope {Scope.ADMIN}"
        scopes = sorted(services.caller.scopes)
        raise ApiError(ErrorCode.FORBIDDEN, detail, "all_owners", scopes, [Scope.ADMIN])
    secret = _secret(wanted.secret, wanted.signature)

    async def add(asked: IdempotentRequest | None) -> str:
        await _check_url(services, wanted.url)
        config = WebhookConfig(
            url=wanted.url,
            events=tuple(wanted.events),
            description=wanted.description,
            secrets=(StoredSecret(text=secret, until=None),),
        )
        id_, most = new_webhook_id(), services.process.settings.webhooks_per_key
        made = _naming(id_, secret)
        try:
            await services.process.webhooks.save(
                id_,
                config,
                read=None,
                owner=services.caller.name,
                everyone=wanted.all_owners,
                most=most,
                claim=asked.claim(made) if asked else None,
            )
        except FullError as error:
            detail = f"a key may have at most {most} webhooks; delete one first"
            raise ApiError(
                ErrorCode.TOO_MANY_WEBHOOKS, detail, None, None, {"maximum": most}
            ) from error
        return made

    asked = idempotent_request(request, services, "webhook", wanted)
    return await make_once(services, asked, add, partial(_find_named, services))


@router.get("", responses=problems())
async def list_webhooks(services: RequestServicesDep) -> WebhookList:
    """List the webhooks of the key, newest first; for admins and auditors those of all keys."""
    found = await services.process.webhooks.of_owner(services.caller.lists)
    return WebhookList(
        items=[documents.webhook(each) for each in found if services.caller.sees(each.owner)]
    )


@router.get("/{webhook_id}", responses=problems(ErrorCode.NOT_FOUND))
async def get_webhook(services: RequestServicesDep, webhook_id: str) -> Webhook:
    """Get a webhook, without its secret."""
    return documents.webhook(await find_webhook(services, webhook_id))


@router.patch(
    "/{webhook_id}",
    openapi_extra=_takes("WebhookChange", {"enabled": True}),
    responses=problems(ErrorCode.NOT_FOUND, ErrorCode.WEBHOOK_CHANGED, *_BODY),
)
async def change_webhook(
    request: Request, services: RequestServicesDep, webhook_id: str
) -> Webhook:
    """Change a webhook, disable it, or enable it again, which delivers what is pending."""
    state = await find_to_change(services, webhook_id)
    wanted = await _read(request, services, WebhookChange)
    if wanted.url is not None:
        await _check_url(services, wanted.url)
    changes = {
        "url": wanted.url,
        "events": wanted.events and tuple(wanted.events),
        "description": wanted.description,
    }
    config = state.config.model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )
    disabled_for = state.disabled_for if state.disabled_at is not None else None
    if wanted.enabled is not None:
        disabled_for = None if wanted.enabled else BY_HAND
    await _save(services, state, config, disabled_for, enabled=bool(wanted.enabled))
    return documents.webhook(await find_webhook(services, webhook_id))


@router.delete(
    "/{webhook_id}", status_code=204, responses=problems(ErrorCode.CROSS_SITE, ErrorCode.NOT_FOUND)
)
async def delete_webhook(services: RequestServicesDep, webhook_id: str) -> Response:
    """Delete a webhook with its deliveries, also those that are pending."""
    await find_to_change(services, webhook_id)
    await services.process.webhooks.remove(webhook_id)
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/rotate",
    openapi_extra=_takes("WebhookRotation", {}) | _ONCE,
    responses=problems(ErrorCode.NOT_FOUND, ErrorCode.WEBHOOK_CHANGED, *_MADE_ONCE, *_BODY),
)
async def rotate_webhook(
    request: Request, services: RequestServicesDep, webhook_id: str
) -> WebhookWithSecret:
    """Replace the secret, and show the new one once; the old one signs along for a day."""
    state = await find_to_change(services, webhook_id)
    wanted = await _read(request, services, WebhookRotation)

    async def rotate(asked: IdempotentRequest | None) -> str:
        [newest, *older] = state.config.secrets
        secret = _secret(wanted.secret, wanted.signature or signature_of(newest.text))
        now = as_seconds(await services.process.reading.time())
        until = now + ROTATION_S
        kept = [newest.model_copy(update={"until": until})]
        kept += [each for each in older if each.until and now < each.until < until]
        config = state.config.model_copy(
            update={"secrets": (StoredSecret(text=secret, until=None), *kept[: MAX_SECRETS - 1])}
        )
        made = _naming(webhook_id, secret)
        claim = asked.claim(made) if asked else None
        await _save(services, state, config, state.disabled_for, claim=claim)
        return made

    asked = idempotent_request(request, services, "rotation", webhook_id, wanted)
    return await make_once(services, asked, rotate, partial(_find_named, services))


async def _read(request: Request, services: RequestServices, kind: type[Document]) -> Document:
    process = services.process
    return await read_json(request, process.settings, process.upload_memory, kind)


async def find_webhook(services: RequestServices, id_: str) -> WebhookState:
    """Returns a webhook that the caller may see. Raises ApiError not_found."""
    found = await services.process.webhooks.find(id_) if WEBHOOK_ID.fullmatch(id_) else None
    if found is None or not services.caller.sees(found.owner):
        detail = f"there is no such webhook: {id_[:100]}"
        raise ApiError(ErrorCode.NOT_FOUND, detail, "id", id_)
    return found


async def find_to_change(services: RequestServices, id_: str) -> WebhookState:
    """Raises ApiError not_found, and forbidden if the caller may only see it."""
    found = await find_webhook(services, id_)
    if not services.caller.may_change(found.owner):
        detail = f"changing another owner's webhook needs a key of scope {Scope.ADMIN}"
        scopes = sorted(services.caller.scopes)
        raise ApiError(ErrorCode.FORBIDDEN, detail, None, scopes, [Scope.ADMIN])
    return found


async def _save(
    services: RequestServices,
    state: WebhookState,
    config: WebhookConfig,
    disabled_for: str | None,
    *,
    enabled: bool = False,
    claim: IdempotencyClaim | None = None,
) -> None:
    """Changes a webhook. Raises ApiError webhook_changed, AlreadyClaimedError."""
    try:
        await services.process.webhooks.save(
            state.id,
            config,
            read=state,
            owner=state.owner,
            enabled=enabled,
            disabled_for=disabled_for,
            claim=claim,
        )
    except ChangedError as error:
        detail = "somebody else, or the service, changed the webhook meanwhile; try again"
        raise ApiError(ErrorCode.WEBHOOK_CHANGED, detail, "id", state.id) from error


async def _check_url(services: RequestServices, url: str) -> None:
    """Raises ApiError if no delivery could go there."""
    try:
        await services.process.outbound.check(url, timeout_s=CHECK_S)
    except OutboundError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"url: {error}", "url", url) from error


def _secret(given: str | None, signature: Signature | None) -> str:
    """Returns the secret of the request, or a new one. Raises ApiError."""
    if given is None:
        return new_secret(signature or "v1")
    try:
        return checked_secret(given, signature)
    except SecretError as error:
        accepted: Sequence[str] = ["whsec_BASE64", "whsk_BASE64"]
        code = ErrorCode.INVALID_PARAMETER
        raise ApiError(code, f"secret: {error}", "secret", None, accepted) from None


def _naming(id_: str, secret: str) -> str:
    """Names a webhook and one of its secrets, without telling the secret."""
    return f"{id_} {hashlib.sha256(secret.encode()).hexdigest()}"


async def _find_named(services: RequestServices, made: str) -> WebhookWithSecret | None:
    """Returns a webhook with the secret that was made; None if one of them is gone."""
    id_, _, _ = made.partition(" ")
    state = await services.process.webhooks.find(id_)
    secrets = [each.text for each in state.config.secrets] if state else []
    secret = next((each for each in secrets if _naming(id_, each) == made), None)
    if state is None or secret is None:
        return None
    shown = secret if signature_of(secret) == "v1" else None
    return WebhookWithSecret(**dict(documents.webhook(state)), secret=shown)
