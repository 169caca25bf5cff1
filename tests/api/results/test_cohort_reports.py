"""The report of a batch: counts, the worst first, disagreement, and where credit falls."""

import json

import numpy as np
import pytest

from service.api.results.credit import CELLS, credit_of, mean_credit
from service.schemas.documents import ErrorCode, Failure
from service.schemas.results import Curve, Rectangle
from tests.api.results.test_report import Page

WHOLE = Rectangle(left=0, top=0, right=32, bottom=64)


def curve(metric, area):
    return Curve(
        metric=metric, output=0, label="ant", area=area, baseline_area=0.5,
        x=[0, 1], y=[1, 0], baseline=[1, 0],
    )  # fmt: skip


def test_credit_is_shared_as_in_the_dashboard():
    values = np.zeros((64, 32, 3), np.float32)
    values[40, 20, 0], values[40, 20, 1] = -3, 1  # channels are summed before their size is taken
    values[0, 0] = 2 / 3
    found = credit_of(values, WHOLE)
    assert found.cells.sum() == pytest.approx(1)
    assert found.parts() == pytest.approx(
        {
            "the centre": 0.5,
            "the top left": 0.5,
            "the top right": 0,
            "the bottom left": 0,
            "the bottom right": 0.5,
        }
    )
    assert found.half == 1 / (64 * 32)
    assert credit_of(np.zeros((8, 8, 3), np.float32), WHOLE) is None
    even = credit_of(np.ones((10, 7, 3), np.float32), Rectangle(left=0, top=0, right=7, bottom=10))
    assert even.cells == pytest.approx(np.full((CELLS, CELLS), CELLS**-2))
    assert mean_credit([found, even]).parts()["the centre"] == pytest.approx(0.375)
    assert mean_credit([]) is None


async def report(served, url, kind="html"):
    answer = await served.get(f"{url}/report.{kind}")
    assert answer.status_code == 200, answer.text
    return answer


async def test_it_tells_what_the_pictures_say_together(served, fake_worker, refused, new_photo):
    labels = ["ant", "bee", None]
    settings = {"outputs": {"top": 2}, "true_labels": labels, "metrics": ["deletion", "insertion"]}
    files = [("image", (f"{n}.png", new_photo(60 + n, 40))) for n in range(3)]
    asked = await served.post(
        "/v1/batches", files=[*files, ("settings", (None, json.dumps(settings)))]
    )
    assert asked.status_code == 202, asked.text
    url = asked.headers["location"]
    first, second, third = (each["id"] for each in asked.json()["explanations"])
    refused(await served.get(f"{url}/report.html"), 409, "not_finished")
    fake_worker.succeed(first, curves=[curve("deletion", 0.2), curve("insertion", 0.2)])
    fake_worker.succeed(second, curves=[curve("deletion", 0.2), curve("insertion", 0.9)])
    fake_worker.fail(third, Failure(code=ErrorCode.MODEL_FAILED, detail="it broke"))
    answer = await report(served, url)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    told = Page(answer.text)
    text = " ".join(" ".join(told.texts).split())
    assert "2 succeeded, 1 failed." in text
    assert "1 right, 1 wrong" in text
    assert "50 % of those" in text
    assert "1 are better than a random order by all of them, and 1 by some" in text
    assert "In the centre" in text
    assert text.index(second) < text.index(first)  # the wrong one is first
    assert not {"script", "iframe", "object", "link", "form"} & set(told.tags)
    assert told.tags.count("img") == 2
    pdf = await report(served, url, "pdf")
    assert pdf.content.startswith(b"%PDF-")
