"""Webhooks: what clients send, and the documents of webhooks and deliveries."""

from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, JsonValue

from service.schemas.base import ResponseModel
from service.schemas.documents import Status
from service.schemas.requests import MAX_URL, RequestModel

MAX_SECRET, MAX_DESCRIPTION = 200, 200  # characters
ROTATION_S = 86400  # that an old secret signs along


WebhookEvent = Literal[
    "explanation.succeeded",
    "explanation.failed",
    "explanation.canceled",
    "explanation.expired",
    "explanation.recorded",
    "batch.finished",
]
EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
TEST_EVENT = "webhook.test"
Signature = Literal["v1", "v1a"]
Events = Annotated[
    list[WebhookEvent],
    Field(min_length=1, max_length=len(EVENTS)),
    AfterValidator(lambda events: list(dict.fromkeys(events))),
]
Url = Annotated[str, Field(max_length=MAX_URL, description="https:// address of the receiver")]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION, description="For people")]
Secret = Annotated[
    str | None,
    Field(
        max_length=MAX_SECRET,
        description="whsec_ and 24 to 64 bytes in base64 (v1), or whsk_ and 32 (v1a); null: one is "
        "made",
    ),
]
SignatureField = Annotated[
    Signature | None,
    Field(
        description="v1: HMAC-SHA256, by a secret that both sides have; v1a: Ed25519, which the "
        "receiver verifies by a public key; null: that of the secret, or v1"
    ),
]


class WebhookRequest(RequestModel):
    """A new webhook."""

    url: Url
    events: Events
    description: Description = ""
    all_owners: bool = Field(
        default=False, description="True: events of all owners, for keys of the scope admin"
    )
    signature: SignatureField = None
    secret: Secret = None


class WebhookChange(RequestModel):
    """Fields of a webhook that change; absent ones stay."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    enabled: bool | None = Field(default=None, description="True also forgets that it failed")


class WebhookRotation(RequestModel):
    """A new secret of a webhook."""

    signature: SignatureField = None
    secret: Secret = None


class Webhook(ResponseModel):
    """A webhook, without its secret."""

    id: str
    owner: str | None = Field(description="Name of the key that added it; null: no keys")
    url: str
    events: list[WebhookEvent]
    description: str
    all_owners: bool
    signature: Signature
    public_key: str | None = Field(description="whpk_ and the key that verifies v1a; null: v1")
    created_at: datetime
    enabled: bool
    disabled_at: datetime | None
    disabled_for: str | None = Field(description="Why it is disabled")
    failing_since: datetime | None = Field(description="First failure since the last success")
    pending: int = Field(description="Deliveries that wait, also for their next attempt")
    delivered: int = Field(description="Deliveries that succeeded, in total")
    missed: int = Field(description="Events without a delivery, as too many were pending")


class WebhookWithSecret(Webhook):
    """A webhook with a new secret, which is shown once."""

    secret: str | None = Field(description="whsec_ and the secret; null: v1a, see public_key")


class WebhookList(ResponseModel):
    """All webhooks that the key may see, newest first."""

    items: list[Webhook]


DeliveryStatus = Literal["pending", "delivered", "failed"]


class Attempt(ResponseModel):
    """One request to the receiver."""

    at: datetime
    status_code: int | None = Field(description="Of the answer; null: it did not answer")
    error: str | None = Field(description="What was wrong; null: delivered")
    duration_ms: int


class Delivery(ResponseModel):
    """An event for a webhook; its id is the header webhook-id of all attempts."""

    id: str
    webhook: str
    type: str
    subject: str = Field(description="Id of the explanation, batch or webhook that it tells of")
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None = Field(description="Null unless it is pending")
    tries: int = Field(description="Attempts since it was queued or replayed")
    attempts: list[Attempt] = Field(description="The last attempts, oldest first")


class DeliveryList(ResponseModel):
    """Deliveries of a webhook, newest first."""

    items: list[Delivery]


# --- What a receiver gets


class EventModel(ResponseModel):
    """The model of an explanation."""

    name: str
    fingerprint: str | None


class EventData(ResponseModel):
    """What an event tells of: little, as the API has the rest."""

    id: str
    status: Status | Literal["done"] = Field(description="done: of a batch")
    owner: str | None
    batch: str | None
    model: EventModel | None = Field(description="That was asked for; null: of a batch")
    metadata: dict[str, JsonValue] = Field(description="Of the request; {} for a batch")
    counts: dict[Status, int] | None = Field(description="Of a batch: explanations by status")
    links: dict[str, str] = Field(description="Paths of the API")


class PingData(ResponseModel):
    """What a test tells of."""

    id: str = Field(description="Of the webhook")


class EventMessage(ResponseModel):
    """The body of a delivery."""

    type: str
    timestamp: datetime = Field(description="When it happened")
    data: EventData | PingData
