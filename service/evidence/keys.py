"""Keys that sign records: Ed25519 (RFC 8032), public as JSON Web Keys (RFC 8037)."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError


class SigningKeyError(Exception):
    """A file of keys cannot be read, or holds no valid keys."""


class PublicKey(BaseModel):
    """A JSON Web Key of an Ed25519 key; members that it does not know are kept out."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{43}$")]
    kid: str
    use: Literal["sig"] = "sig"
    alg: Literal["Ed25519", "EdDSA"] = "Ed25519"
    valid_from: AwareDatetime | None = None  # signs nothing before
    retired_at: AwareDatetime | None = None  # signs nothing from then on

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> Self:
        x = _base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
        return cls(kty="OKP", crv="Ed25519", x=x, kid=thumbprint(x))

    def verifies(self, signature: bytes, message: bytes) -> bool:
        raw = base64.urlsafe_b64decode(self.x + "=")
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class PublicKeys(BaseModel):
    """A JSON Web Key Set."""

    model_config = ConfigDict(frozen=True)

    keys: tuple[PublicKey, ...]

    def by_id(self) -> Mapping[str, PublicKey]:
        return {key.kid: key for key in self.keys}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a key set from a file. Raises SigningKeyError."""
        try:
            found = cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise SigningKeyError(f"cannot read {path}: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise SigningKeyError(
                f"{path} is no JSON Web Key Set of Ed25519 keys: {place}: {first['msg']}"
            ) from error
        if len(found.by_id()) < len(found.keys):
            raise SigningKeyError(f"{path} has two keys of one kid; it may be told retired in one")
        for key in found.keys:
            if key.kid != thumbprint(key.x):
                raise SigningKeyError(
                    f"{path} has a key with kid {key.kid!r}; its thumbprint is {thumbprint(key.x)}"
                )
        return found


@dataclass(frozen=True)
class SigningKey:
    """A private key and its public one."""

    private: Ed25519PrivateKey
    public: PublicKey

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a private key from a PEM file (PKCS #8, not encrypted). Raises SigningKeyError."""
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise SigningKeyError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SigningKeyError(
                f"{path} holds no private key in PEM that can be read without a password; make one "
                f"with `shapshot signing-key create {path}`"
            ) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise SigningKeyError(f"{path} holds a key of another kind; it must be Ed25519")
        return cls(private, PublicKey.of(private.public_key()))

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a key and write it to a new file that only its owner can read.

        Raises FileExistsError, OSError.
        """
        private = Ed25519PrivateKey.generate()
        content = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        return cls(private, PublicKey.of(private.public_key()))

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)

    def retired(self, at: datetime) -> PublicKey:
        return self.public.model_copy(update={"retired_at": at})


def thumbprint(x: str) -> str:
    """Return the thumbprint (RFC 7638) of the Ed25519 key with these coordinates."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": x}  # in the order that the RFC demands
    canonical = json.dumps(members, separators=(",", ":")).encode()
    return _base64url(hashlib.sha256(canonical).digest())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
