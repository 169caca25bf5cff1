"""Secrets of webhooks, and signatures by them: https://www.standardwebhooks.com.

v1 is HMAC-SHA256 by a secret `whsec_…`; v1a is Ed25519 by a private key `whsk_…`, verified by the
public key `whpk_…`. What is signed is ID.TIMESTAMP.BODY.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.jobs.webhooks import StoredSecret
from service.schemas.webhooks import Signature

PREFIXES = {"v1": "whsec_", "v1a": "whsk_"}
PUBLIC = "whpk_"
NEW_BYTES, LEAST_BYTES, MOST_BYTES, KEY_BYTES = 32, 24, 64, 32


class SecretError(ValueError):
    """A secret has no accepted form; the message does not repeat it."""


def new_secret(signature: Signature) -> str:
    return PREFIXES[signature] + base64.b64encode(secrets.token_bytes(NEW_BYTES)).decode()


def checked_secret(text: str, signature: Signature | None) -> str:
    """Returns the secret in its usual form. Raises SecretError."""
    for known, prefix in PREFIXES.items():
        if text.startswith(prefix):
            if signature not in (None, known):
                raise SecretError(f"a secret that begins with {prefix} is for {known}")
            break
    else:
        raise SecretError("a secret begins with whsec_ (v1) or whsk_ (v1a)")
    content = text.removeprefix(prefix)
    try:
        key = base64.b64decode(content + "=" * (-len(content) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(f"after {prefix} a secret is base64") from None
    if known == "v1" and not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise SecretError(
            f"a secret of v1 has {LEAST_BYTES} to {MOST_BYTES} bytes; received {len(key)}"
        )
    if known == "v1a":
        if len(key) not in (KEY_BYTES, 2 * KEY_BYTES):  # some libraries append the public key
            raise SecretError(f"a private key of v1a has {KEY_BYTES} bytes; received {len(key)}")
        key = key[:KEY_BYTES]
    return prefix + base64.b64encode(key).decode()


def signature_of(secret: str) -> Signature:
    return "v1a" if secret.startswith(PREFIXES["v1a"]) else "v1"


def public_key(secret: str) -> str | None:
    """Returns the key that verifies v1a; None for v1."""
    if signature_of(secret) == "v1":
        return None
    return PUBLIC + base64.b64encode(_private(secret).public_key().public_bytes_raw()).decode()


def sign(used: Sequence[StoredSecret], id_: str, now: float, body: bytes) -> dict[str, str]:
    """Returns the headers of an attempt at this time, signed by all secrets that are in use."""
    timestamp = str(int(now))
    signed = b".".join([id_.encode(), timestamp.encode(), body])
    current = [secret.text for secret in used if secret.until is None or now < secret.until]
    return {
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in current),
    }


def _signature(secret: str, signed: bytes) -> str:
    version = signature_of(secret)
    if version == "v1a":
        made = _private(secret).sign(signed)
    else:
        made = hmac.digest(_key(secret), signed, hashlib.sha256)
    return f"{version},{base64.b64encode(made).decode()}"


def _private(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_key(secret))


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.partition("_")[2])
