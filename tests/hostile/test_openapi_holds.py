"""schemathesis sends a live process what the OpenAPI document allows, and what it forbids."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from service.api.openapi import DOCUMENT
from service.infra.artifact_store import open_store
from tests.api.conftest import FakeWorker, some_curves
from tests.hostile.bombs import photo
from tests.hostile.conftest import Api, Serve
from tests.hostile.wire import explain, form, part
from tests.ledger import Ledger

ROOT = Path(__file__).parents[2]
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance"),
)


@pytest.mark.timeout(600)
def test_the_live_app_answers_as_its_document_says(serve: Serve, connection, ledger, tmp_path):
    api = serve(max_queued=100_000)
    config, document = tmp_path / "schemathesis.toml", tmp_path / "openapi.json"
    config.write_text(_config(api, connection, ledger))
    frozen = (ROOT / DOCUMENT).read_text()
    document.write_text(json.dumps(json.loads(frozen, object_hook=_without_prefixes)))
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", config),
            *("run", document, "--url", api.url),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1"),
            *("--checks", ",".join(CHECKS), "--generation-database", "none", "--no-color"),
            *("--suppress-health-check", "all", "--continue-on-failure", "--warnings", "off"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2000:]
    log = api.log.read_text()
    assert "Traceback" not in log
    answered = set(map(int, re.findall(r'"status": (\d+)', log)))
    assert answered >= {200, 202, 204, 400, 404, 405, 409, 415, 422}  # every kind of response
    assert api.send(explain(photo())).status == 202


def _without_prefixes(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without prefixItems, which schemathesis 4.32 takes for those of draft 7."""
    kinds = schema.pop("prefixItems", [])
    if kinds:
        schema["items"] = kinds[0]
        assert all(kind == kinds[0] for kind in kinds)
    return schema


def _config(api: Api, connection: redis.Redis, ledger: Ledger) -> str:
    """The configuration: existing ids, pictures, and no waiting."""
    fake_worker = FakeWorker(ledger, open_store(f"file:{api.folder}/store"), connection)
    explanations = [_explanation(api, fake_worker, number) for number in range(40)]
    pictures = [part("image", photo(), "p")] * 2
    batches = [json.loads(api.send(form(*pictures, target="/v1/batches")).content)["id"]]
    given = {
        "path.explanation_id": explanations,
        "query.id": explanations,
        "path.batch_id": batches,
        "path.name": ["tiny", "partition"],
        "body.image": [base64.b64encode(photo()).decode()],
    }
    lines = ["[parameters]", '"header.Prefer" = "wait=0"']
    lines += [f'"{name}" = {{dictionary = "{name}", probability = 0.7}}' for name in given]
    for name, values in given.items():
        lines += [f'[dictionaries."{name}"]', f"values = {json.dumps(values)}"]
    return "\n".join(lines)


def _explanation(api: Api, fake_worker: FakeWorker, number: int) -> str:
    """Make an explanation; three of four have succeeded, and no two requests are equal."""
    settings = json.dumps({"metrics": ["insertion"], "seed": number}).encode()
    id_ = str(json.loads(api.send(explain(photo(), settings)).content)["id"])
    if number % 4:
        fake_worker.succeed(id_, curves=some_curves("insertion"))
    return id_
