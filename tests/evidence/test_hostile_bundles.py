"""Bundles that somebody made to deceive or to exhaust whoever verifies them are refused by name."""

import base64
import copy
import hashlib
import importlib.util
import io
import json
import sys
import tracemalloc
import zipfile
import zlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rfc8785

from service.evidence.archives import read_archive
from service.evidence.envelopes import pre_authentication
from service.evidence.keys import PublicKeys, SigningKeyError
from service.infra.packed_arrays import pack, unpack
from service.schemas.record import PAYLOAD_TYPE, Statement
from tests.evidence.test_bundles import archived, faults, statement_in
from worker.verification import verify_bundle

ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's group, RFC 8032, 5.1


def second_verifier():
    spec = importlib.util.spec_from_file_location("second_verifier", "docs/verify.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Forger:
    """Changes a bundle and signs it again, as a server that lies would."""

    def __init__(self, bundle, key):
        self.files, self.key = dict(read_archive(bundle)), key

    def statement(self, name):
        return json.loads(base64.b64decode(json.loads(self.files[name])["payload"]))

    def envelope(self, payload, signatures=None):
        own = self.key.sign(pre_authentication(PAYLOAD_TYPE, payload))
        named = [(self.key.public.kid, each) for each in signatures or [own]]
        signed = [{"keyid": kid, "sig": base64.b64encode(sig).decode()} for kid, sig in named]
        envelope = {"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode()}
        return json.dumps(envelope | {"signatures": signed}, separators=(",", ":")).encode()

    def bundle(self, change=None, listing=None, record=None, **files):
        """change, listing: change the statements of record and manifest; record: its envelope."""
        changed = self.files | {name.replace("__", "."): content for name, content in files.items()}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in changed.items()}
        statement = self.statement("record.json")
        for subject in statement["subject"]:
            subject["digest"]["sha256"] = digests[subject["name"]]
        if change:
            change(statement)
        changed["record.json"] = record or self.envelope(rfc8785.dumps(statement))
        digests["record.json"] = hashlib.sha256(changed["record.json"]).hexdigest()
        manifest = self.statement("manifest.json")
        for subject in manifest["subject"]:
            subject["digest"]["sha256"] = digests[subject["name"]]
        if listing:
            listing(manifest)
        changed["manifest.json"] = self.envelope(rfc8785.dumps(manifest))
        return archived(changed)

    def npz(self, change=None, **changed):
        """The arrays, with the npy of some replaced; change: of the record."""
        file = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(self.files["attributions.npz"])) as before,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after,
        ):
            for name in before.namelist():
                content = changed.get(name.removesuffix(".npy"), before.read(name))
                after.writestr(name, content)
        return self.bundle(change, attributions__npz=file.getvalue())


def npy(described, body=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"fortran_order": False, **described})
    return file.getvalue() + body


def within(place, **changed):
    """A change of a part of the predicate."""

    def change(statement):
        found = statement["predicate"]
        for name in place.split("."):
            found = found[int(name)] if name.isdigit() else found[name] if name else found
        found.update(changed)

    return change


def zeros(dtype, *shape):
    packed = base64.b64encode(zlib.compress(bytes(2**24), 9)).decode()
    return {"dtype": dtype, "shape": list(shape), "data": packed}


FUTURE = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
CONTRADICTIONS = {
    "future": (within("", sealed_at=FUTURE), "one of the clocks is wrong"),
    "past": (within("", sealed_at="2001-01-01T00:00:00Z"), "one of the clocks is wrong"),
    "no zone": (within("", sealed_at="2026-01-01T00:00:00"), "sealed_at"),
    "another picture": (within("picture", sha256="0" * 64), "two digests of picture"),
    "no files": (lambda s: s.update(subject=[]), "does not list attributions.npz"),
    "no digest": (lambda s: s["subject"][0].update(digest={}), "digest"),
    "first with a past": (within("chain", sequence=0, previous="0" * 64), "place in the chain"),
    "later without": (within("chain", sequence=7, previous=None), "place in the chain"),
    "partial": (within("result", partial=True), "not canceled"),
    "newer": (lambda s: s.update(predicateType=s["predicateType"][:-1] + "2"), "update shapshot"),
    "evaluations": (within("settings", max_evals=10**9), "max_evals is 1000000000"),
    "players": (within("result", players=10**9), "record says 1000000000"),
    "form": (within("evidence.transcript", form="boxes"), "not of the form boxes"),
    "no output": (within("result", outputs=[]), "of shape"),
    "outside": (
        within("result.placement", top=-5, left=-5, right=10**6, bottom=10**6),
        "is not within the model's picture",
    ),
    "bomb of scores": (
        within("evidence.transcript", scores=zeros("<f8", 2**30, 1)), "scores of shape"
    ),
    "bomb of rows": (within("evidence.transcript", rows=zeros("|u1", 2**30)), "rows of shape"),
    "bomb of sizes": (within("evidence.transcript", sizes=zeros("<u2", 2**30)), "bytes, over"),
    "endless": (within("evidence.transcript", sizes=zeros("<u2", *[2**30] * 9)), "bytes, over"),
}  # fmt: skip


async def test_a_record_that_cannot_be_is_refused_though_signed(signed):
    forger = Forger(await signed.bundle(), signed.key)
    assert verify_bundle(forger.bundle()).valid
    for name, (change, told) in CONTRADICTIONS.items():
        found = faults(verify_bundle(forger.bundle(change)))
        assert [told in fault for fault in found.values()] == [True], (name, found)
    for made_at in ("2001-01-01T00:00:00Z", FUTURE):
        listing = within("", made_at=made_at)
        [told] = faults(verify_bundle(forger.bundle(listing=listing))).values()
        assert "one of the clocks is wrong" in told


async def test_arrays_are_neither_unpickled_nor_inflated_beyond_what_the_record_says(signed):
    forger = Forger(await signed.bundle(), signed.key)
    objects = {"descr": "|O", "shape": (1,)}
    floats = {"descr": "<f4", "shape": (2**36, 2)}
    deep = io.BytesIO()
    np.save(deep, np.array("[" * 100_000))
    twice = io.BytesIO(forger.files["attributions.npz"])
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("values.npy", npy({"descr": "<f4", "shape": (1,)}, bytes(4)))
    cases = {
        "pickled": (forger.npz(values=npy(objects, b"cos\nsystem\n.")), "object"),
        "lie": (forger.npz(values=npy(floats)), "needs 549755814"),
        "negative": (forger.npz(values=npy({"descr": "<f4", "shape": (-1, 2)})), "(-1, 2)"),
        "no npy": (forger.npz(values=b"none"), "cannot be read"),
        "no zip": (forger.bundle(attributions__npz=b"\x80\x04cos\nsystem\n."), "cannot be read"),
        "large": (forger.npz(values=npy({"descr": "<f4", "shape": (2**24,)}, bytes(2**26))),
                  "by the record of shape"),
        "deep": (forger.npz(model_parts=deep.getvalue()), "recursion"),
        "twice": (forger.bundle(attributions__npz=twice.getvalue()), ""),
    }  # fmt: skip
    for name, (bundle, told) in cases.items():
        tracemalloc.start()
        found = faults(verify_bundle(bundle))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert [told in fault for fault in found.values()] == [True], (name, found)
        assert peak < 2**25, name


async def test_an_envelope_has_one_signature_in_its_one_form(signed):
    forger = Forger(await signed.bundle(), signed.key)
    payload = rfc8785.dumps(forger.statement("record.json"))
    good = signed.key.sign(pre_authentication(PAYLOAD_TYPE, payload))
    larger = int.from_bytes(good[32:], "little") + ORDER  # RFC 8032, 5.1.7: S is below the order
    shifted = good[:32] + larger.to_bytes(32, "little")
    for signatures, told in (
        ([good, good], "2 signatures; it must have one"),
        ([bytes(64), good], "2 signatures"),
        ([shifted], "signature is not valid"),
        ([good[:63]], "signature is not valid"),
    ):
        envelope = forger.envelope(payload, signatures)
        [fault] = faults(verify_bundle(forger.bundle(record=envelope))).values()
        assert told in fault
    for other in (
        b" " + payload,
        payload.replace(b'"attempts":1', b'"attempts":1,"attempts":1', 1),
        payload.replace(b'"attempts":1', b'"attempts":NaN', 1),
        payload.replace(b'"attempts":1', b'"attempts":' + b"9" * 5000, 1),
        b"[" * 100_000,
        b"null",
        b"",
    ):
        found = faults(verify_bundle(forger.bundle(record=forger.envelope(other))))
        assert list(found) == ["the record is signed"]


async def test_a_key_signs_nothing_before_it_is_valid_and_is_listed_once(signed, tmp_path):
    bundle, later = await signed.bundle(), datetime.now(UTC) + timedelta(days=1)
    young = signed.key.public.model_copy(update={"valid_from": later})
    [told] = faults(verify_bundle(bundle, PublicKeys(keys=(young,)))).values()
    assert "is valid from" in told
    path = tmp_path / "keys.json"
    retired = signed.key.retired(datetime(2020, 1, 1, tzinfo=UTC))
    path.write_text(PublicKeys(keys=(retired, signed.key.public)).model_dump_json())
    with pytest.raises(SigningKeyError, match="two keys of one kid"):
        PublicKeys.read(path)


async def test_the_second_verifier_refuses_them_without_a_traceback(
    signed, tmp_path, capsys, monkeypatch
):
    verifier = second_verifier()
    forger = Forger(await signed.bundle(method="permutation"), signed.key)
    keys, path = tmp_path / "keys.json", tmp_path / "bundle.zip"
    keys.write_bytes(forger.files["keys.json"])
    monkeypatch.setattr(sys, "argv", ["verify.py", str(keys), str(path)])
    record = forger.statement("record.json")
    payload = rfc8785.dumps(record)
    twice = copy.deepcopy(record)
    twice["subject"].append(twice["subject"][0] | {"digest": {"sha256": "0" * 64}})
    named = "future, past, no zone, another picture, no files, no digest, first with a past, newer"
    cases = [
        *(forger.bundle(CONTRADICTIONS[name][0]) for name in named.split(", ")),
        *(forger.bundle(CONTRADICTIONS[name][0]) for name in CONTRADICTIONS if "bomb" in name),
        forger.bundle(record=forger.envelope(payload, [bytes(64), bytes(64)])),
        forger.bundle(record=forger.envelope(payload.replace(b'"attempts":1', b'"attempts":NaN'))),
        forger.bundle(record=forger.envelope(b'{"a":1,"a":1}')),
        forger.bundle(record=forger.envelope(b"[" * 100_000)),
        forger.bundle(record=b"[]"),
        forger.bundle(record=forger.envelope(rfc8785.dumps(twice))),
        forger.npz(values=npy({"descr": "|O", "shape": (1,)}, b"cos\nsystem\n.")),
        forger.npz(values=npy({"descr": "<f4", "shape": (2**36, 2)})),
        forger.bundle()[:-1],
        b"",
    ]
    path.write_bytes(forger.bundle())
    assert verifier.main() == 0, capsys.readouterr().out
    for n, bundle in enumerate(cases):
        path.write_bytes(bundle)
        assert verifier.main() == 1, n
        assert "WRONG: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("method", "factor", "valid"),
    [
        ("gaussian_process", 1 + 1e-13, True),  # as by another number of threads
        ("kernel", 1 + 1e-13, True),
        ("kernel", 1 + 1e-6, False),
        ("permutation", 1 + 1e-13, False),
    ],
)
async def test_only_what_is_solved_may_be_rounded(signed, method, factor, valid):
    files = dict(read_archive(await signed.bundle(method=method)))
    record = statement_in(files, "record.json", Statement)
    packed = record.predicate.evidence.regions.values
    other = pack(unpack(packed) * factor)
    named = io.BytesIO()
    np.save(named, unpack(other))
    forger = Forger(archived(files), signed.key)

    def change(statement):
        statement["predicate"]["evidence"]["regions"]["values"] = other.model_dump(mode="json")

    bundle = forger.npz(change, region_values=named.getvalue())
    found = faults(verify_bundle(bundle))
    assert (found == {}) == valid, found
