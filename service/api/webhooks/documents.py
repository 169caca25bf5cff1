"""Documents of webhooks and deliveries, and the body of a delivery."""

from pydantic import JsonValue
from pydantic_core import from_json

from service.api.state.serializers import to_datetime, to_datetime_or_none
from service.api.webhooks.secrets import public_key, signature_of
from service.jobs.redis_keys import BATCH_ID
from service.jobs.webhooks import DeliveryState, WebhookState
from service.schemas.webhooks import (
    TEST_EVENT,
    Delivery,
    EventData,
    EventMessage,
    EventModel,
    PingData,
    Webhook,
)

MAX_METADATA = 4096  # bytes of the metadata that an event repeats; more is left to the API


def webhook(state: WebhookState) -> Webhook:
    newest = state.config.secrets[0].text
    return Webhook(
        id=state.id,
        owner=state.owner,
        url=state.config.url,
        events=list(state.config.events),
        description=state.config.description,
        all_owners=state.everyone,
        signature=signature_of(newest),
        public_key=public_key(newest),
        created_at=to_datetime(state.created_at),
        enabled=state.disabled_at is None,
        disabled_at=to_datetime_or_none(state.disabled_at),
        disabled_for=state.disabled_for,
        failing_since=to_datetime_or_none(state.failing_since),
        pending=state.pending,
        delivered=state.delivered,
        missed=state.missed,
    )


def delivery(state: DeliveryState) -> Delivery:
    pending = state.status == "pending"
    return Delivery(
        id=state.id,
        webhook=state.webhook,
        type=state.type,
        subject=state.subject,
        status=state.status,
        created_at=to_datetime(state.created_at),
        next_attempt_at=to_datetime_or_none(state.due_at) if pending else None,
        tries=state.tries,
        attempts=list(state.attempts),
    )


def body(state: DeliveryState, root_path: str) -> str:
    """Returns the body of a delivery; the same for all attempts. Raises ValueError."""
    if state.body is not None:
        return state.body
    is_test = state.type == TEST_EVENT
    data = PingData(id=state.subject) if is_test else _data(state, root_path)
    message = EventMessage(type=state.type, timestamp=to_datetime(state.created_at), data=data)
    return message.model_dump_json()


def _data(state: DeliveryState, root_path: str) -> EventData:
    order: dict[str, JsonValue] = from_json(state.order) if state.order else {}
    model, settings = order.get("model"), order.get("settings")
    metadata = settings.get("metadata") if isinstance(settings, dict) else None
    kind = "batches" if BATCH_ID.fullmatch(state.subject) else "explanations"
    links = {"self": f"{root_path}/v1/{kind}/{state.subject}"}
    if state.batch:
        links["batch"] = f"{root_path}/v1/batches/{state.batch}"
    return EventData.model_validate(
        {
            "id": state.subject,
            "status": state.subject_status,
            "owner": state.owner,
            "batch": state.batch,
            "model": EventModel.model_validate(model) if model else None,
            "metadata": metadata or {},
            "counts": from_json(state.counts) if state.counts else None,
            "links": links,
        }
    )
