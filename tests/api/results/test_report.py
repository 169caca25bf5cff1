"""The report: all that a reader asks, escaped, with nothing that runs or is loaded."""

import re
import shutil
from html.parser import HTMLParser
from typing import get_args

import pytest
from anyio import run_process

from service.api.results.pdf import print_pdf
from service.api.results.report_texts import BETTER_HIGH, LIMITS, verdict
from service.images.decoding import PictureError, decode_picture
from service.schemas.requests import Method, Metric
from service.schemas.results import Curve
from service.schemas.warnings import ResultWarning

URL = "/v1/explanations"
CURVE = Curve(
    metric="deletion", output=0, label="ant", area=0.2, baseline_area=0.5,
    x=[0, 1], y=[1, 0], baseline=[1, 0],
)  # fmt: skip


class Page(HTMLParser):
    """Notes tags, addresses and texts."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.addresses, self.texts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.texts.append(data.strip())


async def test_it_tells_what_was_asked_and_what_was_found(served, create, fake_worker):
    id_ = await create(metadata={"purpose": "quarterly audit"}, metrics=["deletion"])
    fake_worker.succeed(id_, curves=[CURVE])
    answer = await served.get(f"{URL}/{id_}/report.html")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    told = Page(answer.text)
    text = " ".join(told.texts)
    for part in ("quarterly audit", id_, "photo.png", "Owen values", "better than random"):
        assert part in text
    assert "this server has no signing key" in text
    assert told.tags.count("img") == 2


async def test_it_runs_nothing_and_loads_nothing(served, create, fake_worker):
    id_ = await create()
    fake_worker.succeed(id_)
    answer = await served.get(f"{URL}/{id_}/report.html")
    told = Page(answer.text)
    assert not {"script", "iframe", "object", "link", "form"} & set(told.tags)
    assert all(address.startswith("data:image/png;base64,") for address in told.addresses)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


async def test_what_others_wrote_is_escaped(served, ask, fake_worker):
    evil = "<script>alert(1)</script>\"'&"
    answer = await ask(metadata={"purpose": evil})
    id_ = answer.json()["id"]
    warning = ResultWarning(code="ties", detail=evil, value=None, limit=None, output=None)
    fake_worker.succeed(id_, warnings=[warning])
    page = (await served.get(f"{URL}/{id_}/report.html")).text
    assert "script" not in Page(page).tags
    assert " ".join(Page(page).texts).count(evil) == 2


async def test_a_report_needs_a_result(served, create, refused):
    refused(await served.get(f"{URL}/{await create()}/report.html"), 409, "not_finished")


async def test_it_is_not_sent_again_unchanged(served, create, fake_worker):
    id_ = await create()
    fake_worker.succeed(id_)
    etag = (await served.get(f"{URL}/{id_}/report.html")).headers["etag"]
    again = await served.get(f"{URL}/{id_}/report.html", headers={"If-None-Match": etag})
    assert again.status_code == 304


def test_every_method_and_metric_has_its_words():
    assert set(LIMITS) == set(get_args(Method))
    assert set(BETTER_HIGH) == set(get_args(Metric))


@pytest.mark.parametrize(
    ("metric", "area", "random_area", "told"),
    [
        ("deletion", 0.2, 0.5, "better than random"),
        ("deletion", 0.5, 0.2, "not better than random"),
        ("insertion", 0.5, 0.2, "better than random"),
        ("keep_absolute", 0.5, 0.2, "neither side is better for this order"),
        ("insertion", 0.5, 0.5, "as a random order"),
    ],
)
def test_a_curve_is_judged_by_its_better_side(metric, area, random_area, told):
    assert verdict(metric, area, random_area) == told


async def test_the_page_prints_without_colour_schemes(served, create, fake_worker):
    id_ = await create()
    fake_worker.succeed(id_)
    page = (await served.get(f"{URL}/{id_}/report.html")).text
    assert re.search(r"@page\s*{", page)


async def test_it_is_printed_with_its_id_and_numbered_pages(served, create, fake_worker, tmp_path):
    id_ = await create(metrics=["deletion"])
    fake_worker.succeed(id_, curves=[CURVE])
    answer = await served.get(f"{URL}/{id_}/report.pdf")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")
    again = await served.get(
        f"{URL}/{id_}/report.pdf", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304
    path = tmp_path / "report.pdf"
    path.write_bytes(answer.content)
    if shutil.which("pdftotext"):
        told = await run_process(["pdftotext", str(path), "-"])
        pages = told.stdout.decode().split("\f")[:-1]
        assert all(
            id_ in page and f"{n}/{len(pages)}" in page.replace(" ", "")
            for n, page in enumerate(pages, 1)
        )
        assert "better than random" in told.stdout.decode()


async def test_without_the_printer_it_says_what_to_install(
    served, create, refused, fake_worker, monkeypatch
):
    id_ = await create()
    fake_worker.succeed(id_)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused(await served.get(f"{URL}/{id_}/report.pdf"), 501, "not_installed")


def test_broken_pictures_are_refused_after_printing_too(photo):
    print_pdf(b"<p>text</p>")
    with pytest.raises(PictureError, match="broken"):
        decode_picture(photo[: len(photo) // 2], max_pixels=10_000)


def test_printing_fetches_nothing(tmp_path):
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    alone = print_pdf(b"<p>text</p>")
    assert print_pdf(b"<p>text</p>") == alone
    named = f'<p>text</p><img src="file://{secret}"><link rel="attachment" href="file://{secret}">'
    assert b"secret" not in print_pdf(named.encode())
