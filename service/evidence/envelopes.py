"""Signs statements, and opens envelopes whose signature is valid.

DSSE 1.0.2, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md; the payload is JSON
in the canonical form of RFC 8785, so that a record has one encoding only.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

import rfc8785
from pydantic import ValidationError

from service.evidence.keys import PublicKeys, SigningKey
from service.schemas.record import PAYLOAD_TYPE, Envelope, Signature, SignedStatement, Statement

S = TypeVar("S", bound=SignedStatement)


class RecordError(Exception):
    """A record is not what it claims to be; the message says in which respect."""


@dataclass(frozen=True)
class Opened(Generic[S]):
    """A statement whose signature is valid.

    sha256: of the payload; the next record has it as `previous`. key_id: of the key that signed.
    """

    statement: S
    sha256: str
    key_id: str


def encode(statement: SignedStatement) -> bytes:
    """Encode a statement as canonical JSON. Raises RecordError."""
    try:
        return rfc8785.dumps(_interoperable(statement.model_dump(mode="json", by_alias=True)))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise RecordError(f"its statement cannot be written as canonical JSON: {error}") from error


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


def open_record(envelope: bytes, keys: PublicKeys) -> Opened[Statement]:
    """Verify the record of an explanation, and read its statement. Raises RecordError."""
    return open_envelope(envelope, keys, Statement)


def open_envelope(envelope: bytes, keys: PublicKeys, schema: type[S]) -> Opened[S]:
    """Verify an envelope by the key that it names, and read its statement. Raises RecordError."""
    try:
        read = Envelope.model_validate_json(envelope)
    except ValidationError as error:
        raise RecordError(f"it is no DSSE envelope: {_first(error)}") from error
    if read.payloadType != PAYLOAD_TYPE:
        raise RecordError(f"its payload is of type {read.payloadType!r}, not {PAYLOAD_TYPE}")
    if read.model_dump_json().encode() != envelope:
        raise RecordError("it has more than a DSSE envelope, or other white space")
    payload, key_id = _decode(read.payload, "payload"), _verified(read, keys)
    try:
        content = json.loads(payload)
        canonical = rfc8785.dumps(content)
    except (ValueError, RecursionError, rfc8785.CanonicalizationError) as error:
        raise RecordError("its payload is no JSON that can be written canonically") from error
    if canonical != payload:
        raise RecordError("its payload is not in the canonical form of RFC 8785")
    statement = _read_statement(content, schema)
    key, told = keys.by_id()[key_id], f"it was signed at {statement.signed_at.isoformat()} by the"
    if key.retired_at and statement.signed_at >= key.retired_at:
        ended = key.retired_at.isoformat()
        raise RecordError(f"{told} key {key_id}, which was retired at {ended}")
    if key.valid_from and statement.signed_at < key.valid_from:
        raise RecordError(f"{told} key {key_id}, which is valid from {key.valid_from.isoformat()}")
    return Opened(statement, hashlib.sha256(payload).hexdigest(), key_id)


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _verified(envelope: Envelope, keys: PublicKeys) -> str:
    """Return the id of the known key whose signature is valid. Raises RecordError."""
    if len(envelope.signatures) != 1:
        raise RecordError(f"it has {len(envelope.signatures)} signatures; it must have one")
    known, [signature] = keys.by_id(), envelope.signatures
    key = known.get(signature.keyid)
    if key is None:
        raise RecordError(
            f"it is signed by {signature.keyid or 'no key'}; known are "
            f"{', '.join(known) or 'no keys'}"
        )
    message = pre_authentication(envelope.payloadType, _decode(envelope.payload, "payload"))
    if not key.verifies(_decode(signature.sig, "signature"), message):
        raise RecordError("its signature is not valid: it was changed after it was signed")
    return key.kid


def _read_statement(content: Any, schema: type[S]) -> S:
    [known] = get_args(schema.model_fields["predicateType"].annotation)
    kind = content.get("predicateType") if isinstance(content, dict) else None
    kinds = known.rpartition(":v")[0] + ":v"
    if isinstance(kind, str) and kind.startswith(kinds) and kind != known:
        raise RecordError(f"it is of type {kind!r}, made by another version; update shapshot")
    if kind != known:
        raise RecordError(f"it is of type {kind!r}; this version reads {known} here")
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise RecordError(f"its statement does not follow the schema: {_first(error)}") from error


def _decode(text: str, what: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordError(f"its {what} is not valid base64") from error
    if base64.b64encode(content).decode() != text:  # bits beyond the last byte
        raise RecordError(f"its {what} is not in the canonical form of base64")
    return content


def _first(error: ValidationError) -> str:
    first = error.errors(include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
