"""The pictures of docs/dashboard.md; taken anew where SHAPSHOT_SCREENSHOTS names a folder."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from service.schemas.requests import ExplanationSettings
from tests.e2e.embedded import Running, embedded_set
from tests.e2e.pictures import SAMPLE
from tests.web.conftest import visit
from tests.web.test_what_if import wait_for_scores

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = os.environ.get("SHAPSHOT_SCREENSHOTS")
MAX_BYTES = 120_000
REGIONS = {"superpixels": {"kind": "slic", "segments": 40}, "masker": "blur(64,64)"}


def test_every_picture_of_the_guide_is_there_and_small():
    named = re.findall(r"\]\((images/dashboard-[^)]+)\)", (DOCS / "dashboard.md").read_text())
    assert sorted(named) == sorted(
        path.relative_to(DOCS).as_posix() for path in DOCS.glob("images/dashboard-*")
    )
    assert len(named) >= 3
    for path in named:
        assert (DOCS / path).stat().st_size <= MAX_BYTES, path


@pytest.mark.skipif(not FOLDER, reason="SHAPSHOT_SCREENSHOTS names no folder")
def test_the_pictures_are_taken(open_page):
    with embedded_set(small=False) as running:
        ids = [
            running.client.explain(SAMPLE, ExplanationSettings.model_validate(settings)).id
            for settings in (
                REGIONS | {"method": "kernel", "max_evals": 1500, "metrics": ["deletion"]},
                {"method": "partition", "max_evals": 500, "masker": "blur(64,64)"},
                REGIONS | {"method": "permutation", "max_evals": 400},
                {"model": "cifar10", "method": "partition", "max_evals": 300},
            )
        ]
        explain_cohort(running)
        page = open_page(1280)
        visit(page, running, "/models")
        page.evaluate("localStorage.setItem('shapshot-heat', 'on')")
        for name, path in (
            ("explanation", f"/explanations/{ids[0]}"),
            ("compare", f"/compare?ids={','.join(ids[:3])}"),
            ("list", "/explanations"),
        ):
            shoot(page, running, path, name)
        shoot(open_page(390, color_scheme="dark"), running, f"/explanations/{ids[1]}", "phone")
        regions = running.client.regions(ids[0]).regions
        ranked = sorted(regions, key=lambda each: -each.credit[0].value)
        hidden = ",".join(str(each.region) for each in ranked[:3])
        shoot(page, running, f"/explanations/{ids[0]}/what-if?hidden={hidden}", "what-if")
        page.set_viewport_size({"width": 1280, "height": 1500})
        shoot(page, running, "/cohorts?method=gaussian_process", "cohorts")


def explain_cohort(running: Running) -> None:
    """Explain parts of the samples, as they are and turned, each with its true label."""
    samples = {"tabby cat": SAMPLE, "espresso": SAMPLE.with_name("coffee.jpg")}
    turned: list[tuple[str, Image.Image]] = []
    for label, path in samples.items():
        picture = Image.open(path)
        width, height = picture.size
        boxes = [(0, 0, width, height), (0, 0, width // 2, height), (width // 3, 0, width, height)]
        turned += [(label, picture.crop(box)) for box in boxes]
        turned += [(label, picture.rotate(turn, expand=True)) for turn in (90, 180)]
    labels = [label for label, _ in turned]
    settings = REGIONS | {"method": "gaussian_process", "max_evals": 300}
    pictures = [np.asarray(picture.convert("RGB")) for _, picture in turned]
    running.client.explain_all(pictures, settings | {"true_labels": labels})


def shoot(page: Page, running: Running, path: str, name: str) -> None:
    page.goto("about:blank")
    visit(page, running, path)
    page.wait_for_load_state("networkidle")
    wait_for_scores(page)
    if path.startswith("/explanations/") and "what-if" not in path:
        page.locator(".stage").focus()
        page.keyboard.press("Home")
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").save(Path(FOLDER) / f"dashboard-{name}.webp", quality=80, method=6)
