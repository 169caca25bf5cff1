"""What may be wrong with a store, and what it said of that.

StoreError: it cannot do what was asked
├── StoreRefusedError: and to ask again would not help
│   └── NoSuchPartError: as it is shorter than that
└── MissingArtifactError: nothing is stored under that name
    └── DamagedArtifactError: or not what was written
"""

import os
import re

import obstore

_DEBUG = "\n\nDebug source"  # follows what obstore tells
_NO_SUCH_RANGE = ("InvalidRange", "Requested range was invalid", "Invalid range")  # of each store
_REFUSED = r"status code: 4(?!08|29)\d\d"  # of HTTP: neither a timeout nor "too many requests"
_REFUSALS = (  # of a folder, too
    obstore.exceptions.PermissionDeniedError,
    obstore.exceptions.UnauthenticatedError,
)


class StoreError(Exception):
    """The store cannot do what was asked: unreachable, full, or refusing.

    cause: what it said, and where it is, for the log; the message names neither.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause or message


class StoreRefusedError(StoreError):
    """To ask again would not help: no such bucket, or not allowed."""


class NoSuchPartError(StoreRefusedError):
    """The artefact is shorter than that."""


class MissingArtifactError(StoreError):
    """Nothing is stored under that name."""


class DamagedArtifactError(MissingArtifactError):
    """What is stored under that name is not what was written: as good as nothing."""


class translate_errors:  # noqa: N801 - reads as a phrase: with translate_errors(key, where)
    """Turns obstore's and the system's errors into ours."""

    def __init__(self, key: str, where: str) -> None:
        self._key = key
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, (obstore.exceptions.BaseError, OSError)):
            return
        said = _in_full(error)
        cause = f"{self._key!r} in {self._where}: {said}"
        if "NoSuchBucket" in said:  # which arrives as if only the key were missing
            raise StoreRefusedError("the store has no such bucket", cause) from error
        if isinstance(error, FileNotFoundError):
            raise MissingArtifactError(f"nothing is stored as {self._key!r}", cause) from error
        message = f"the store refused {self._key!r}: {_in_short(error)}"
        if any(each in said for each in _NO_SUCH_RANGE):
            raise NoSuchPartError(message, cause) from error
        refused = isinstance(error, _REFUSALS) or re.search(_REFUSED, said)
        raise (StoreRefusedError if refused else StoreError)(message, cause) from error


def _in_short(error: BaseException) -> str:
    """What the system or S3 said, such as a full disk, with nothing of where."""
    if isinstance(error, TimeoutError):
        return str(error)
    said = re.search(r"os error (\d+)", str(error))
    if said:
        return os.strerror(int(said[1]))
    code = re.search(r"<Code>(\w+)</Code>", str(error))
    return code[1] if code else _innermost(error) or type(error).__name__


def _in_full(error: BaseException) -> str:
    """In a line: obstore's chain of causes with its addresses, but for credentials."""
    text = str(error).split(_DEBUG)[0]
    told = [re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("Code", "Message")]
    answer = " ".join(each[1] for each in told if each)
    text = re.sub(r"(<\?xml|<Error>).*", answer, text, flags=re.DOTALL)
    line = f"{type(error).__name__}: {' '.join(text.split())}"
    innermost = _innermost(error)
    return mask_credentials(f"{line}: {innermost}" if innermost else line)


def _innermost(error: BaseException) -> str:
    """The last cause of an HTTP request that failed, which obstore tells for debugging only."""
    _, _, chain = str(error).partition(_DEBUG)
    if "TimedOut" in chain or "kind: Timeout" in chain:
        return "there was no answer in time"
    causes = re.findall(r'(?:message|error): "([^"]*)"', chain)
    return causes[-1] if causes else ""


def mask_credentials(text: str) -> str:
    """Without the credentials of a URL."""
    return re.sub(r"//[^/@\s]*@", "//…@", text)
