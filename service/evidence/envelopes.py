"""Signs statements, and opens envelopes whose signature is valid.

DSSE 1.0.2, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md; the payload is JSON
in the canonical form of RFC 8785, so that a record has one encoding only.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import rfc8785
from pydantic import ValidationError

from service.evidence.keys import PublicKeys, SigningKey
from service.schemas.record import PAYLOAD_TYPE, Envelope, Signature, Statement


class RecordError(Exception):
    """A record is not what it claims to be; the message says in which respect."""


@dataclass(frozen=True)
class OpenedRecord:
    """A statement whose signature is valid.

    sha256: of the payload; the next record has it as `previous`. key_id: of the key that signed.
    """

    statement: Statement
    sha256: str
    key_id: str


def encode(statement: Statement) -> bytes:
    """Encode a statement as canonical JSON."""
    return rfc8785.dumps(_interoperable(statement.model_dump(mode="json", by_alias=True)))


def _interoperable(value: Any) -> Any:
    """Write integers that JSON numbers do not hold exactly, as metadata may have, as text."""
    match value:
        case dict():
            return {name: _interoperable(each) for name, each in value.items()}
        case list():
            return [_interoperable(each) for each in value]
        case int() if abs(value) >= 2**53:
            return str(value)
    return value


def seal(payload: bytes, key: SigningKey) -> bytes:
    """Sign an encoded statement; return the envelope as JSON."""
    signature = base64.b64encode(key.sign(pre_authentication(PAYLOAD_TYPE, payload))).decode()
    envelope = Envelope(
        payloadType=PAYLOAD_TYPE,
        payload=base64.b64encode(payload).decode(),
        signatures=[Signature(keyid=key.public.kid, sig=signature)],
    )
    return envelope.model_dump_json().encode()


def open_record(envelope: bytes, keys: PublicKeys) -> OpenedRecord:
    """Verify an envelope by the key that it names, and read its statement. Raises RecordError."""
    try:
        read = Envelope.model_validate_json(envelope)
    except ValidationError as error:
        raise RecordError(f"the record is no DSSE envelope: {_first(error)}") from error
    if read.payloadType != PAYLOAD_TYPE:
        raise RecordError(f"the payload is of type {read.payloadType!r}, not {PAYLOAD_TYPE}")
    if read.model_dump_json().encode() != envelope:
        raise RecordError("the envelope has more than a DSSE envelope, or other white space")
    payload, key_id = _decode(read.payload, "payload"), _verified(read, keys)
    try:
        content = json.loads(payload)
        canonical = rfc8785.dumps(content)
    except (ValueError, RecursionError, rfc8785.CanonicalizationError) as error:
        raise RecordError("the payload is no JSON that can be written canonically") from error
    if canonical != payload:
        raise RecordError("the payload is not in the canonical form of RFC 8785")
    statement = _read_statement(content)
    signed_at, retired_at = statement.predicate.sealed_at, keys.by_id()[key_id].retired_at
    if retired_at and signed_at >= retired_at:
        raise RecordError(
            f"the record was sealed at {signed_at.isoformat()} by the key {key_id}, which was "
            f"retired at {retired_at.isoformat()}"
        )
    return OpenedRecord(statement, hashlib.sha256(payload).hexdigest(), key_id)


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _verified(envelope: Envelope, keys: PublicKeys) -> str:
    """Return the id of the known key whose signature is valid. Raises RecordError."""
    known, payload = keys.by_id(), _decode(envelope.payload, "payload")
    message = pre_authentication(envelope.payloadType, payload)
    named = [signature.keyid for signature in envelope.signatures]
    for signature in envelope.signatures:
        key = known.get(signature.keyid)
        if key and key.verifies(_decode(signature.sig, "signature"), message):
            return key.kid
    if not set(named) & set(known):
        raise RecordError(
            f"the record is signed by {', '.join(named) or 'no key'}; known are "
            f"{', '.join(known) or 'no keys'}"
        )
    raise RecordError("the signature is not valid: the record was changed after it was signed")


def _read_statement(content: Any) -> Statement:
    known = Statement.model_fields["predicateType"].annotation
    kind = content.get("predicateType") if isinstance(content, dict) else None
    if kind not in getattr(known, "__args__", ()):
        raise RecordError(f"the record is of type {kind!r}, which this version cannot read")
    try:
        return Statement.model_validate(content)
    except ValidationError as error:
        raise RecordError(f"the statement does not follow its schema: {_first(error)}") from error


def _decode(text: str, what: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordError(f"the {what} is not valid base64") from error
    if base64.b64encode(content).decode() != text:  # bits beyond the last byte
        raise RecordError(f"the {what} is not in the canonical form of base64")
    return content


def _first(error: ValidationError) -> str:
    first = error.errors(include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
