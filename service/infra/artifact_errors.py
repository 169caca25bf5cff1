"""Errors of the artifact store, and their translation from obstore's.

StoreError                   the store failed
├── StoreRefusedError        a permanent failure: retrying does not help
│   └── NoSuchPartError      the artifact is shorter than the requested range
└── MissingArtifactError     nothing is stored under the key
    └── DamagedArtifactError the stored content differs from what was written
"""

import os
import re

import obstore

_DEBUG = "\n\nDebug source"  # separates obstore's message from its debug output
_NO_SUCH_RANGE = ("InvalidRange", "Requested range was invalid", "Invalid range")  # of each store
_REFUSED = r"status code: 4(?!08|29)\d\d"  # HTTP 4xx but timeout, too many requests
_REFUSALS = (  # also raised for a folder
    obstore.exceptions.PermissionDeniedError,
    obstore.exceptions.UnauthenticatedError,
)


class StoreError(Exception):
    """The store failed: it is unreachable or full, or it rejected the request.

    cause: the store's own message and address, for the log; the error's message has neither.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause or message


class StoreRefusedError(StoreError):
    """A permanent failure, such as a missing bucket or missing permissions."""


class NoSuchPartError(StoreRefusedError):
    """The artifact is shorter than the requested range."""


class MissingArtifactError(StoreError):
    """Nothing is stored under the key."""


class DamagedArtifactError(MissingArtifactError):
    """The stored content differs from what was written; treated as missing."""


class translate_errors:  # noqa: N801 - reads as a phrase: with translate_errors(key, where)
    """Translates errors of obstore and the system to those of this module."""

    def __init__(self, key: str, where: str) -> None:
        self._key = key
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, (obstore.exceptions.BaseError, OSError)):
            return
        full = _describe(error)
        cause = f"{self._key!r} in {self._where}: {full}"
        if "NoSuchBucket" in full:  # obstore reports it as a missing key
            raise StoreRefusedError("the store has no such bucket", cause) from error
        if isinstance(error, FileNotFoundError):
            raise MissingArtifactError(f"nothing is stored as {self._key!r}", cause) from error
        # The reason that the system or S3 gives, such as a full disk, without addresses
        if isinstance(error, TimeoutError):
            reason = str(error)
        elif number := re.search(r"os error (\d+)", str(error)):
            reason = os.strerror(int(number[1]))
        elif code := re.search(r"<Code>(\w+)</Code>", str(error)):
            reason = code[1]
        else:
            reason = _innermost(error) or type(error).__name__
        message = f"the store failed on {self._key!r}: {reason}"
        if any(each in full for each in _NO_SUCH_RANGE):
            raise NoSuchPartError(message, cause) from error
        refused = isinstance(error, _REFUSALS) or re.search(_REFUSED, full)
        raise (StoreRefusedError if refused else StoreError)(message, cause) from error


def _describe(error: BaseException) -> str:
    """Return obstore's chain of causes in one line, with addresses but without credentials."""
    text = str(error).split(_DEBUG)[0]
    found = [re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("Code", "Message")]
    answer = " ".join(each[1] for each in found if each)
    text = re.sub(r"(<\?xml|<Error>).*", answer, text, flags=re.DOTALL)
    line = f"{type(error).__name__}: {' '.join(text.split())}"
    innermost = _innermost(error)
    return mask_credentials(f"{line}: {innermost}" if innermost else line)


def _innermost(error: BaseException) -> str:
    """Return the innermost cause of a failed HTTP request, from obstore's debug output."""
    _, _, chain = str(error).partition(_DEBUG)
    if "TimedOut" in chain or "kind: Timeout" in chain:
        return "no response in time"
    causes = re.findall(r'(?:message|error): "([^"]*)"', chain)
    return causes[-1] if causes else ""


def mask_credentials(text: str) -> str:
    """Mask the credentials in URLs."""
    return re.sub(r"//[^/@\s]*@", "//…@", text)
