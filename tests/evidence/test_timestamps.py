"""Records are stamped by an authority of RFC 3161, when it can be asked; sealing never waits."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from service.api.evidence.stamper import RecordStamper
from service.cli.main import app
from service.evidence.archives import read_archive
from service.evidence.timestamps import (
    MAX_BYTES,
    TimestampError,
    read_certificates,
    request_timestamp,
    verify_timestamp,
)
from service.jobs.redis_keys import UNSTAMPED
from tests.evidence.test_bundles import archived, faults
from worker.verification import verify_bundle

CONFIG = """
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class Authority:
    """An authority of the test's own: openssl behind HTTP, on loopback."""

    def __init__(self, folder):
        self.folder, self.status, self.reply = folder, 200, None
        (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
        self.certificate = folder / "tsa.pem"
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Own"),
            *("-addext", "extendedKeyUsage=critical,timeStamping"),
            *("-keyout", folder / "tsa.key", "-out", self.certificate),
        )
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = self.rfile.read(int(self.headers["Content-Length"]))
                content = own.stamp(asked) if own.reply is None else own.reply
                self.send_response(own.status)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stamp(self, asked):
        (self.folder / "query").write_bytes(asked)
        openssl(
            *("ts", "-reply", "-queryfile", self.folder / "query", "-out", self.folder / "reply"),
            *("-config", self.folder / "tsa.cnf", "-signer", self.certificate),
            *("-inkey", self.folder / "tsa.key"),
        )
        return (self.folder / "reply").read_bytes()


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    found = Authority(tmp_path_factory.mktemp("tsa"))
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def authority(started):
    started.status, started.reply = 200, None
    return started


def test_a_timestamp_is_of_one_signature_by_one_authority(authority, tmp_path):
    trusted = read_certificates(authority.certificate)
    content = request_timestamp(authority.url, b"s" * 64)
    assert verify_timestamp(content, b"s" * 64, trusted).year >= 2020
    with pytest.raises(TimestampError, match="Mismatch"):
        verify_timestamp(content, b"t" * 64, trusted)
    other = Authority(tmp_path)
    other.server.server_close()
    with pytest.raises(TimestampError, match="not by the trusted authority"):
        verify_timestamp(content, b"s" * 64, read_certificates(other.certificate))
    for damaged in (content[:-1], content[:100], b"", b"\x30\x03\x02\x01\x02"):
        with pytest.raises(TimestampError):
            verify_timestamp(damaged, b"s" * 64, trusted)


def test_an_authority_that_answers_anything_else_is_told(authority):
    earlier = request_timestamp(authority.url, b"s" * 64)
    for reply, status, told in (
        (earlier, 200, "answered another request"),
        (b"busy", 503, "status 503"),
        (b"<html>", 200, "no response of RFC 3161"),
        (bytes(MAX_BYTES + 1), 200, "larger than"),
    ):
        authority.reply, authority.status = reply, status
        with pytest.raises(TimestampError, match=told):
            request_timestamp(authority.url, b"s" * 64)
    with pytest.raises(TimestampError, match="cannot be asked"):
        request_timestamp("http://127.0.0.1:1/", b"s" * 64)


async def test_a_record_is_stamped_once_the_authority_can_be_asked(
    open_signed, authority, tmp_path, connection, store
):
    authority.status = 503
    async with open_signed(tmp_path, timestamp_url=authority.url) as signed:
        id_ = await signed.explain()
        before = (await signed.api.get(f"/v1/explanations/{id_}/bundle.zip")).content
        trusted = read_certificates(authority.certificate)
        assert verify_bundle(before).valid
        [told] = faults(verify_bundle(before, authorities=trusted)).values()
        assert "it has no timestamp" in told
        assert connection.smembers(UNSTAMPED) == {id_.encode()}

        authority.status = 200
        stamper = RecordStamper(connection, store, authority.url)
        stamper.stamp_some()
        assert not connection.exists(UNSTAMPED)
        sealed = signed.ledger.read(id_).record
        connection.sadd(UNSTAMPED, id_)  # by another process, which was late
        stamper.stamp_some()
        assert signed.ledger.read(id_).record == sealed

        after = (await signed.api.get(f"/v1/explanations/{id_}/bundle.zip")).content
        verified = verify_bundle(after, authorities=trusted)
        assert not faults(verified)
        assert "stamped the signature at 2" in verified.checks[-1].what
        report = (await signed.api.get(f"/v1/explanations/{id_}/report.html")).text
        assert "has stamped the signature at 2" in report

        other = read_archive(await signed.bundle(seed=1))
        mixed = archived({**read_archive(after), "record.json": other["record.json"]})
        assert not verify_bundle(mixed, authorities=trusted).valid

        path = tmp_path / "bundle.zip"
        path.write_bytes(after)
        options = ["--tsa-certificate", str(authority.certificate)]
        found = CliRunner().invoke(app, ["verify", str(path), *options])
        assert found.exit_code == 0, found.output
        assert "stamped the signature" in found.output
        found = CliRunner().invoke(app, ["verify", str(path), "--tsa-certificate", str(path)])
        assert found.exit_code == 1
        assert "holds no certificates" in found.output


async def test_ids_without_a_record_are_forgotten(authority, connection, store):
    connection.sadd(UNSTAMPED, "exp_" + "0" * 32, "nonsense")
    RecordStamper(connection, store, authority.url).stamp_some()
    assert not connection.exists(UNSTAMPED)
