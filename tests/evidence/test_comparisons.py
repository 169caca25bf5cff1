"""Results of a comparison of two models, from the real worker through the API."""

import base64
import csv
import io
import json
import re

import numpy as np

from service.client.attributions import read_npz
from tests.evidence.conftest import URL

COMPARED = {"compare_with": "sleeper", "outputs": {"labels": ["green"]}, "metrics": ["deletion"]}
DIFFERENCE = "green (dozer minus sleeper)"


async def test_regions_and_arrays_select_the_difference(signed):
    id_ = await signed.explain(**COMPARED)
    document = (await signed.api.get(f"{URL}/{id_}")).json()
    assert [each["of"] for each in document["outputs"]] == ["model", "compared", "difference"]
    assert document["compared"]["name"] == "sleeper"
    assert document["compared"]["fingerprint"]
    found = (await signed.api.get(f"{URL}/{id_}/regions", params={"output": DIFFERENCE})).json()
    assert {each["label"] for region in found["regions"] for each in region["credit"]} == {
        DIFFERENCE
    }
    table = (await signed.api.get(f"{URL}/{id_}/regions?format=csv")).text
    rows = [*csv.DictReader(io.StringIO(table))]
    by_label = {label: [float(row["value"]) for row in rows if row["label"] == label]
                for label in ("green", "green (sleeper)", DIFFERENCE)}  # fmt: skip
    one, other, difference = map(np.array, by_label.values())
    np.testing.assert_allclose(difference, one - other, atol=1e-9)
    npz = await signed.api.get(f"{URL}/{id_}/attributions", params={"format": "npz", "output": 7})
    arrays = read_npz(npz.content)
    assert arrays.output_names == [DIFFERENCE]
    assert arrays.compared.name == "sleeper"
    curves = (await signed.api.get(f"{URL}/{id_}/faithfulness?output=7")).json()["curves"]
    assert [curve["label"] for curve in curves] == [DIFFERENCE]


async def test_the_figure_says_what_is_subtracted(signed):
    id_ = await signed.explain(**COMPARED)
    drawn = (await signed.api.get(f"{URL}/{id_}/heatmap.svg")).text
    assert "Shapley value per region, dozer minus sleeper" in drawn
    layer = await signed.api.get(
        f"{URL}/{id_}/heatmap.svg", params={"style": "heat", "output": 7, "legend": "true"}
    )
    assert "Shapley value per region, dozer minus sleeper" in layer.text


async def test_the_report_of_an_exact_comparison_speaks_of_no_chance(signed):
    grid = {"kind": "grid", "rows": 2, "columns": 2}
    id_ = await signed.explain(**COMPARED, method="exact", superpixels=grid)
    text = (await signed.api.get(f"{URL}/{id_}/report.html")).text
    assert "What the models said" in text
    assert "The values are exact" in text
    assert "chance" not in text.partition("Where the two models differ")[2].partition("<table")[0]


async def test_the_report_tells_where_the_models_differ(signed):
    id_ = await signed.explain(**COMPARED)
    page = (await signed.api.get(f"{URL}/{id_}/report.html")).text
    text = " ".join(re.sub("<[^>]*>", " ", page).split())
    assert "What dozer and sleeper saw" in text
    assert "Where the two models differ" in text
    assert "asked about the same masked pictures" in text
    assert "dozer minus sleeper, in the score of green" in text
    assert re.search(r"(For \d+|For no) (of \d+ )?regions? the 95 % interval", text)
    assert "Compared with sleeper, sha256:" in text
    alone = (await signed.api.get(f"{URL}/{await signed.explain()}/report.html")).text
    assert "Where the two models differ" not in alone


async def test_the_record_names_both_models(signed):
    id_ = await signed.explain(**COMPARED)
    envelope = (await signed.api.get(f"{URL}/{id_}/record")).json()
    payload = json.loads(base64.b64decode(envelope["payload"]))
    result = payload["predicate"]["result"]
    assert result["compared"]["name"] == "sleeper"
    assert result["compared_classes"] == [1]
    assert result["compared_runtime"]["backend"]
    assert payload["predicate"]["settings"]["compare_with"] == "sleeper"
