"""`python -m benchmarks.evidence [--bundles N]`: what records cost, to sign and to verify.

It starts its own set, Redis, worker and API, and asks a bundled model for explanations of 500
evaluations, by several methods. Then, in this process and on one core: the size of their records,
the time to write and sign one, and to verify N bundles, the same ones again and again.
"""

import argparse
import base64
import json
import tempfile
from pathlib import Path
from statistics import median
from time import process_time

from benchmarks.service import wait_for_all_models
from service.client import Client
from service.embedded.launcher import ListenAddress, local_set
from service.evidence.archives import read_archive
from service.evidence.envelopes import encode, seal
from service.evidence.keys import PublicKeys, SigningKey
from service.schemas.record import Statement
from service.schemas.requests import ExplanationSettings
from tests.e2e.pictures import SAMPLE

GRID = {"kind": "grid", "rows": 6, "columns": 6}
CASES: dict[str, dict[str, object]] = {
    "partition, pixels": {"method": "partition"},
    "partition, 36 squares": {"method": "partition", "superpixels": GRID},
    "permutation, 36 squares": {"method": "permutation", "superpixels": GRID},
    "kernel, 36 squares": {"method": "kernel", "superpixels": GRID},
    "gaussian_process, 36 squares": {"method": "gaussian_process", "superpixels": GRID},
    "kernel, with curves": {"method": "kernel", "superpixels": GRID, "metrics": ["deletion"]},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    parser.add_argument("--bundles", type=int, default=1000)
    parser.add_argument("--model", default="imagenet")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        address = ListenAddress("127.0.0.1", 0, None)
        with (
            local_set(Path(folder), address, lambda _: None) as (url, _),
            Client(url, timeout=60) as client,
        ):
            wait_for_all_models(client)
            bundles = {name: _bundle(client, options.model, case) for name, case in CASES.items()}
        key = SigningKey.create(Path(folder) / "own.pem")
    print(f"{'':30} {'record':>9} {'bundle':>9} {'sign':>8} {'verify':>8}")
    each = max(1, options.bundles // len(bundles))
    for name, content in bundles.items():
        record = read_archive(content)["record.json"]
        sign, verify = _sign_s(record, key), _verify_s(content, min(each, 20))
        print(
            f"{name:30} {len(record) / 1000:6.0f} kB {len(content) / 1000:6.0f} kB "
            f"{1000 * sign:5.1f} ms {1000 * verify:5.1f} ms"
        )
    began = process_time()
    total = sum(_verify_all(content, each) for content in bundles.values())
    print(f"{total} bundles verified in {process_time() - began:.1f} s")


def _bundle(client: Client, model: str, case: dict[str, object]) -> bytes:
    asked = {"model": model, "masker": "mean", "max_evals": 500, "seed": 1} | case
    explanation = client.explain(SAMPLE, ExplanationSettings.model_validate(asked))
    return client.bundle(explanation.id)


def _sign_s(record: bytes, key: SigningKey) -> float:
    payload = base64.b64decode(json.loads(record)["payload"])
    statement = Statement.model_validate_json(payload)
    seconds = []
    for _ in range(50):
        began = process_time()
        seal(encode(statement), key)
        seconds.append(process_time() - began)
    return median(seconds)


def _verify_s(content: bytes, times: int) -> float:
    began = process_time()
    _verify_all(content, times)
    return (process_time() - began) / times


def _verify_all(content: bytes, times: int) -> int:
    from worker.verification import verify_bundle  # its imports are of the first bundle

    keys = PublicKeys.model_validate_json(read_archive(content)["keys.json"])
    for _ in range(times):
        verified = verify_bundle(content, keys)
        if not verified.valid:
            raise SystemExit(f"not valid: {verified.checks[-1]}")
    return times


if __name__ == "__main__":
    main()
