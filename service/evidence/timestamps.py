"""Timestamps (RFC 3161) over signatures: an authority tells when a signature existed.

The signature is stamped, not the payload: so a record that bears the stamp was signed by then,
whatever becomes of the key later. Whoever steals the key can sign any payload, but gets no stamp of
a time past.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256, sha512
from pathlib import Path

import httpx
from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

MAX_BYTES = 2**16  # of an answer; those of authorities have some 5 kB
TIMEOUT_S = 10
QUERY = "application/timestamp-query"


class TimestampError(Exception):
    """An authority gave no timestamp, or one that is not valid; the message says why."""


def request_timestamp(url: str, signature: bytes) -> bytes:
    """Ask an authority for a timestamp over a signature; return its response, as DER.

    Blocking, for at most some TIMEOUT_S. Raises TimestampError.
    """
    asked = TimestampRequestBuilder(signature, nonce=True, cert_req=True).build()
    try:
        content = b""
        body, headers = asked.as_bytes(), {"Content-Type": QUERY}
        with httpx.stream("POST", url, content=body, headers=headers, timeout=TIMEOUT_S) as answer:
            for part in answer.iter_bytes():
                content += part
                if len(content) > MAX_BYTES:
                    raise TimestampError(f"the answer of {url} is larger than {MAX_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TimestampError(f"{url} cannot be asked: {error or type(error).__name__}") from error
    if answer.status_code != httpx.codes.OK:
        raise TimestampError(f"{url} answered with status {answer.status_code}")
    response = _decode(content)
    if PKIStatus(response.status) is not PKIStatus.GRANTED:
        raise TimestampError(f"{url} refused: {', '.join(response.status_string) or 'no reason'}")
    if response.tst_info.nonce != asked.nonce:
        raise TimestampError(f"{url} answered another request")
    _check_imprint(response, signature)
    return content


def stamped_at(content: bytes) -> datetime:
    """Read the time of a timestamp, whoever made it. Raises TimestampError."""
    time: datetime = _decode(content).tst_info.gen_time
    return time


def verify_timestamp(
    content: bytes, signature: bytes, certificates: Sequence[Certificate]
) -> datetime:
    """Verify a timestamp over a signature; return its time. Raises TimestampError.

    certificates: those trusted; the timestamp leads to one of them.
    """
    response = _decode(content)
    try:
        builder = VerifierBuilder()
        for certificate in certificates:
            builder = builder.add_root_certificate(certificate)
        builder.build().verify_message(response, signature)
    except (VerificationError, ValueError) as error:
        raise TimestampError(f"it is not by the trusted authority: {error}") from error
    _check_imprint(response, signature)
    return stamped_at(content)


def read_certificates(path: Path) -> list[Certificate]:
    """Read certificates from a PEM file. Raises TimestampError."""
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise TimestampError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise TimestampError(f"{path} holds no certificates in PEM") from error


def _decode(content: bytes) -> TimeStampResponse:
    try:
        response = decode_timestamp_response(content)
        _ = response.tst_info if PKIStatus(response.status) is PKIStatus.GRANTED else None
    except ValueError as error:
        raise TimestampError(f"it is no response of RFC 3161: {error}") from error
    return response


def _check_imprint(response: TimeStampResponse, signature: bytes) -> None:
    """Compare the stamped digest with that of the signature, by SHA-512 as we ask, or SHA-256."""
    imprint = response.tst_info.message_imprint.message
    if imprint not in (sha512(signature).digest(), sha256(signature).digest()):
        raise TimestampError("it is over another signature")
