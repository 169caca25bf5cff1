"""docs/bundle.md and the schemas say what real bundles hold."""

import base64
import csv
import io
import json
import re

import jsonschema
import numpy as np
import pytest

from service.api.openapi import SCHEMAS
from service.evidence.archives import read_archive
from service.infra.result_arrays import AXES
from tests.docs.pages import ROOT, table_under
from tests.evidence.conftest import GRID, URL

BUNDLE = ROOT / "docs" / "bundle.md"
ARRAYS = {
    cells[0].strip("`"): cells[1:]
    for cells in table_under(BUNDLE, "| array | type | shape | what it holds | when |")
}
PIXELS = {"kind": "pixels"}
CASES = {
    "comparison": {"compare_with": "sleeper", "metrics": ["deletion"]},
    "regions of channels": {"method": "partition", "superpixels": PIXELS, "max_evals": 600},
    "padded": {"method": "permutation", "fit": "pad", "max_evals": 200},
    "exact": {"method": "exact", "superpixels": {"kind": "grid", "rows": 2, "columns": 2}},
    "interactions": {"method": "gaussian_process", "interactions": 2, "max_evals": 40},
}


def arrays_of(files):
    with np.load(io.BytesIO(files["attributions.npz"]), allow_pickle=False) as npz:
        return dict(npz)


def payload_of(envelope):
    return json.loads(base64.b64decode(json.loads(envelope)["payload"]))


def lengths_of(files):
    """The lengths that the letters of the table stand for, by the record."""
    result = payload_of(files["record.json"])["predicate"]["result"]
    lengths = dict(zip("HWC", result["model"]["parts"]["input_shape"], strict=True))
    regions = result["region_count"]
    pairs = regions * (regions - 1) // 2
    return lengths | {"K": len(result["outputs"]), "R": regions, "P": pairs, "2": 2}


def test_the_page_lists_every_array():
    assert ARRAYS.keys() == AXES.keys()


@pytest.mark.parametrize("asked", CASES.values(), ids=CASES)
async def test_arrays_have_the_type_and_shape_of_the_page(signed, asked):
    files = read_archive(await signed.bundle(**asked))
    arrays, lengths = arrays_of(files), lengths_of(files)
    assert arrays.keys() <= ARRAYS.keys()
    for name, array in arrays.items():
        kind, shapes, _, _ = ARRAYS[name]
        assert (array.dtype.name if kind != "text" else array.dtype.kind) in (kind, "U"), name
        told = [re.findall(r"[HWCKRP2]", shape) for shape in shapes.split(" or ")]
        assert array.shape in [tuple(lengths[letter] for letter in each) for each in told], name
    always = {name for name, (_, _, _, when) in ARRAYS.items() if when == "always"}
    assert always <= arrays.keys()
    of_two = {name for name, (_, _, _, when) in ARRAYS.items() if when == "of a comparison"}
    assert (of_two <= arrays.keys()) == ("compare_with" in asked) == bool(of_two & arrays.keys())


async def test_every_array_of_the_page_is_in_some_bundle(signed):
    bundles = [read_archive(await signed.bundle(**asked)) for asked in CASES.values()]
    found = {name for files in bundles for name in arrays_of(files)}
    assert found == ARRAYS.keys()


async def test_the_files_of_a_bundle_follow_the_schemas(signed):
    id_ = await signed.explain(metrics=["deletion", "keep_positive"])
    said = {"verdict": "accept", "reviewer": "Ada"}
    assert (await signed.api.post(f"{URL}/{id_}/reviews", json=said)).status_code == 201
    while signed.sealer.seal_audit(min_age_s=0):
        pass
    files = read_archive((await signed.api.get(f"{URL}/{id_}/bundle.zip")).content)
    segment = (await signed.api.get("/v1/audit/segments")).content.splitlines()[0]
    documents = {
        "record": payload_of(files["record.json"]),
        "manifest": payload_of(files["manifest.json"]),
        "review": payload_of(files["reviews/0001.dsse.json"]),
        "audit-segment": payload_of(segment),
        "faithfulness": json.loads(files["faithfulness.json"]),
    }
    assert {f"{name}.schema.json" for name in documents} == {path.name for path in SCHEMAS}
    for name, document in documents.items():
        schema = json.loads((ROOT / "openapi" / f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(document, schema)
        for member in schema["required"]:
            without = {key: value for key, value in document.items() if key != member}
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(without, schema)


async def test_a_record_names_the_versions_of_what_the_pages_compute_with(signed):
    files = read_archive(await signed.bundle())
    runtime = payload_of(files["record.json"])["predicate"]["result"]["runtime"]
    assert {"shapshot", "numpy", "scipy", "pillow", "opencv-python-headless"} <= set(
        runtime["versions"]
    )


async def test_the_page_lists_the_files_of_bundles_and_the_columns_of_the_regions(signed):
    rows = table_under(BUNDLE, "| file | what it is | schema |")
    listed = {name for cell, *_ in rows for name in re.findall(r"`([^`]+)`", cell)}
    files = read_archive(await signed.bundle(metrics=["deletion"]))
    assert listed - files.keys() == {"label_map", "reviews/0001.dsse.json", "record.tsr"}
    assert files.keys() <= listed
    told = table_under(BUNDLE, "| column | what it holds |")
    columns = [name for cell, *_ in told for name in re.findall(r"`([^`]+)`", cell)]
    reader = csv.reader(io.StringIO(files["regions.csv"].decode()))
    names = next(reader)
    assert sorted(names) == sorted(columns)
    assert len(list(reader)) == GRID["rows"] * GRID["columns"] * lengths_of(files)["K"]
