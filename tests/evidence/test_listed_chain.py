"""Bundles are compared with the chain that the server listed: nothing can have been left out."""

import json

from typer.testing import CliRunner

from service.cli.main import app
from service.schemas.chain import ChainItem
from worker.listed_chain import verify_listed
from worker.verification import verify_bundle


async def listed_by(signed):
    page = (await signed.api.get("/v1/records")).json()
    return [ChainItem.model_validate(each) for each in page["items"]]


def faults_of(listed, verified):
    return [check.fault for check in verify_listed(listed, verified) if check.fault]


async def test_bundles_have_their_places_in_the_list(signed, tmp_path):
    bundles = [await signed.bundle(seed=seed) for seed in range(3)]
    verified, listed = [verify_bundle(each) for each in bundles], await listed_by(signed)
    checks = verify_listed(listed, verified)
    assert [check.fault for check in checks] == [None] * 5
    assert checks[-1].what == "3 of the 3 records of the list are here"
    assert verify_listed(listed, verified[1:])[-1].what.startswith("2 of the 3 records")
    assert faults_of(listed[1:], verified[1:]) == []

    [told] = faults_of([listed[0], listed[2]], [verified[0]])
    assert told == "place 1 is missing"
    [_, told] = faults_of([listed[0], listed[2]], verified[:2])
    assert "place 1, which is in its gap" in told
    [told] = faults_of(listed[:2], verified)
    assert "place 2, which is after its end" in told
    [told] = faults_of(listed[1:], verified)
    assert "place 0, which is before its beginning" in told
    other = listed[0].model_copy(update={"sha256": "0" * 64})
    assert len(faults_of([other, *listed[1:]], verified)) == 2  # itself, and what follows it

    path, chain = tmp_path / "bundle.zip", tmp_path / "chain.json"
    path.write_bytes(bundles[1])
    chain.write_text(json.dumps([each.model_dump() for each in listed]))
    found = CliRunner().invoke(app, ["verify", str(path), "--chain", str(chain)])
    assert found.exit_code == 0, found.output
    assert "1 of the 3 records" in " ".join(found.output.split())
    chain.write_text(json.dumps([listed[0].model_dump(), listed[2].model_dump()]))
    found = CliRunner().invoke(app, ["verify", str(path), "--chain", str(chain)])
    assert found.exit_code == 1
    assert "place 1 is missing" in " ".join(found.output.split())  # lines are wrapped
    chain.write_text("{}")
    found = CliRunner().invoke(app, ["verify", str(path), "--chain", str(chain)])
    assert found.exit_code == 1
    assert "is not what" in " ".join(found.output.split())
