"""Signatures as https://www.standardwebhooks.com says, by its library where it has them."""

import base64
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.api.webhooks.secrets import (
    SecretError,
    checked_secret,
    new_secret,
    public_key,
    sign,
)
from service.jobs.webhooks import StoredSecret

BODY = '{"type":"explanation.succeeded","ü":1}'


def used(*secrets: tuple[str, float | None]) -> list[StoredSecret]:
    return [StoredSecret(text=text, until=until) for text, until in secrets]


def verified(secret: str, headers: dict[str, str], body: str = BODY) -> bool:
    """Verify v1 by the library, and v1a by cryptography."""
    if secret.startswith("whsec_"):
        try:
            Webhook(secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key(secret)[5:]))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    for each in headers["webhook-signature"].split():
        version, text = each.split(",")
        if version == "v1a":
            try:
                key.verify(base64.b64decode(text), signed)
            except InvalidSignature:
                continue
            return True
    return False


@pytest.mark.parametrize("signature", ["v1", "v1a"])
def test_a_signature_is_verified_and_one_of_another_body_is_not(signature):
    secret = new_secret(signature)
    headers = sign(used((secret, None)), "msg_1", time.time(), BODY.encode())
    assert verified(secret, headers)
    assert not verified(secret, headers, BODY + " ")
    assert not verified(new_secret(signature), headers)


def test_while_a_secret_is_replaced_both_sign_and_then_the_new_one_only():
    old, new, now = new_secret("v1"), new_secret("v1a"), time.time()
    secrets = used((new, None), (old, now + 10))
    during = sign(secrets, "msg_1", now, BODY.encode())
    after = sign(secrets, "msg_1", now + 11, BODY.encode())
    assert [len(each["webhook-signature"].split(" ")) for each in (during, after)] == [2, 1]
    assert verified(old, during)
    assert verified(new, during)
    assert verified(new, after)


def test_the_known_signature_of_the_libraries():
    """The test vector of the libraries of Standard Webhooks."""
    headers = sign(
        used(("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None)),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("text", "signature", "reason"),
    [
        ("hunter2", None, "begins with whsec_"),
        ("whsec_" + "A" * 16, None, "24 to 64 bytes; received 12"),
        ("whsec_" + "A" * 200, None, "24 to 64 bytes"),
        ("whsec_" + "?" * 44, None, "is base64"),
        ("whsec_é", None, "is base64"),
        ("whsk_" + "A" * 32, None, "32 bytes; received 24"),
        ("whsk_" + "A" * 43, "v1", "is for v1a"),
        ("whpk_" + "A" * 43, None, "begins with"),
    ],
)
def test_a_secret_of_another_form_is_refused_without_repeating_it(text, signature, reason):
    with pytest.raises(SecretError, match=reason) as refused:
        checked_secret(text, signature)
    assert text not in str(refused.value)


def test_a_secret_is_kept_in_its_usual_form():
    assert checked_secret("whsec_" + "A" * 43, None) == "whsec_" + "A" * 43 + "="
    both = base64.b64encode(bytes(range(64))).decode()
    assert checked_secret(f"whsk_{both}", "v1a") == new_form(bytes(range(32)))


def new_form(key: bytes) -> str:
    return "whsk_" + base64.b64encode(key).decode()
