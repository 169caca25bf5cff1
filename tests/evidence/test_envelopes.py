"""Envelopes are opened only if nothing in them was changed, and by known keys only."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.api.evidence.statements import statement_of
from service.evidence.envelopes import RecordError, encode, open_record, pre_authentication, seal
from service.evidence.keys import PublicKeys, SigningKey, SigningKeyError, thumbprint
from service.jobs.sealing import Head
from service.schemas.record import PAYLOAD_TYPE
from tests.evidence.states import ended_state, some_evidence

SEALED_AT = 1_790_000_000.25


def payload_of(**settings):
    return encode(
        statement_of(ended_state(**settings), some_evidence(), Head(7, "a" * 64, SEALED_AT))
    )


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return SigningKey.create(tmp_path_factory.mktemp("keys") / "key.pem")


@pytest.fixture(scope="module")
def known(key):
    return PublicKeys(keys=(key.public,))


def test_what_was_sealed_is_opened(key, known):
    opened = open_record(seal(payload_of(), key), known)
    record = opened.statement.predicate
    assert opened.key_id == key.public.kid
    assert record.chain.sequence == 7
    assert record.sealed_at.timestamp() == SEALED_AT
    assert record.settings.seed == 0
    assert {subject.name for subject in opened.statement.subject} == {"attributions.npz", "picture"}


def test_a_change_of_any_byte_is_found(key, known):
    envelope = seal(payload_of(), key)
    for place in range(0, len(envelope), 7):
        for bit in (1, 4, 32):
            changed = bytearray(envelope)
            changed[place] ^= bit
            with pytest.raises(RecordError):
                open_record(bytes(changed), known)


@pytest.mark.parametrize(
    "change",
    [lambda e: e + b" ", lambda e: e.replace(b'":', b'": ', 1), lambda e: e[:-1], lambda e: b""],
)
def test_an_envelope_has_one_form(key, known, change):
    with pytest.raises(RecordError):
        open_record(change(seal(payload_of(), key)), known)


def test_an_unknown_key_is_named(key, tmp_path):
    other = SigningKey.create(tmp_path / "other.pem")
    with pytest.raises(
        RecordError, match=f"signed by {key.public.kid}; known are {other.public.kid}"
    ):
        open_record(seal(payload_of(), key), PublicKeys(keys=(other.public,)))


def test_a_retired_key_signs_nothing_later(key):
    sealed_at = datetime.fromtimestamp(SEALED_AT, UTC)
    for retired_at, valid in ((sealed_at + timedelta(seconds=1), True), (sealed_at, False)):
        keys = PublicKeys(keys=(key.retired(retired_at),))
        if valid:
            assert open_record(seal(payload_of(), key), keys)
        else:
            with pytest.raises(RecordError, match="was retired at"):
                open_record(seal(payload_of(), key), keys)


def test_a_record_of_a_newer_schema_is_refused_by_name(key, known):
    newer = payload_of().replace(b"explanation-record:v1", b"explanation-record:v2")
    with pytest.raises(RecordError, match="record:v2', made by another version; update"):
        open_record(seal(newer, key), known)


@pytest.mark.parametrize("payload", [b"[]", b"{}", b"1", b"{", b'{"a": 1}', b"\xff"])
def test_a_signed_payload_that_is_no_statement_is_refused(key, known, payload):
    with pytest.raises(RecordError):
        open_record(seal(payload, key), known)


def test_whole_numbers_beyond_those_of_json_are_kept_as_text(key, known):
    opened = open_record(seal(payload_of(metadata={"n": [2**60], "m": 3}), key), known)
    assert opened.statement.predicate.settings.metadata == {"n": [str(2**60)], "m": 3}


def test_the_pre_authentication_encoding_is_that_of_the_protocol():
    """The example of https://github.com/secure-systems-lab/dsse/blob/master/protocol.md."""
    message = pre_authentication("http://example.com/HelloWorld", b"hello world")
    assert message == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_the_thumbprint_is_that_of_the_rfc():
    """RFC 8037, appendix A.3."""
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert thumbprint(x) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_new_key_can_be_read_by_its_owner_only(tmp_path):
    path = tmp_path / "key.pem"
    made = SigningKey.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.read(path).public == made.public
    with pytest.raises(FileExistsError):
        SigningKey.create(path)


@pytest.mark.parametrize(
    "content", [b"", b"no PEM", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_is_no_key_is_refused(tmp_path, content):
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(SigningKeyError, match="shapshot signing-key create"):
        SigningKey.read(path)


def test_a_key_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(
        X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with pytest.raises(SigningKeyError, match="must be Ed25519"):
        SigningKey.read(path)
    with pytest.raises(SigningKeyError, match="cannot read"):
        SigningKey.read(tmp_path / "absent.pem")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kid": "other"}, "its thumbprint is"),
        ({"crv": "P-256"}, "no JSON Web Key Set of Ed25519 keys: keys.0.crv"),
        ({"x": "short"}, "keys.0.x"),
        ({"retired_at": "2026-01-01T00:00:00"}, "keys.0.retired_at"),
    ],
)
def test_a_file_of_other_public_keys_is_refused(tmp_path, known, change, told):
    key = json.loads(known.model_dump_json(exclude_none=True))["keys"][0]
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [key]}))
    assert PublicKeys.read(path) == known
    path.write_text(json.dumps({"keys": [key | change]}))
    with pytest.raises(SigningKeyError, match=told):
        PublicKeys.read(path)


def test_a_key_that_is_no_point_verifies_nothing(known):
    x = base64.urlsafe_b64encode(b"\xff" * 32)[:43].decode()
    assert not known.keys[0].model_copy(update={"x": x}).verifies(b"s" * 64, b"message")


def test_the_guide_writes_out_what_is_signed():
    guide = (Path(__file__).parents[2] / "docs" / "bundle.md").read_text()
    assert f"`DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} LENGTH PAYLOAD`" in guide
