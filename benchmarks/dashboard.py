"""`python -m benchmarks.dashboard [--kept N] [--rounds N]`: the dashboard in Chromium, on loopback.

A whole set keeps so many explanations of the sample by its small model. Printed are, for a browser
that knows nothing of the page and for one that has its files: milliseconds from the address to the
first contentful paint, to the list, and to the last picture in sight. Then: a slider that draws ten
outputs of 224 x 224 anew; in white noise the processor can predict no branch.
"""

import argparse
import os
from collections.abc import Sequence
from statistics import median, quantiles

from playwright.sync_api import Browser, Page, sync_playwright

from service.schemas.documents import Status
from service.schemas.requests import ExplanationSettings
from tests.conftest import wait_until
from tests.e2e.embedded import Running, embedded_set
from tests.e2e.pictures import SAMPLE
from tests.web.chromium import launch
from worker.engine.scoring.cpu_count import CPU_COUNT

PATIENCE_MS = 60_000
SETTINGS = ExplanationSettings.model_validate(
    {
        "method": "kernel",
        "superpixels": {"kind": "grid", "rows": 4, "columns": 4},
        "max_evals": 40,
        "masker": "mean",
    }
)
WATCH = """
new MutationObserver(() => {
  if (document.querySelector("main[data-ready^='/']")) globalThis.drawn ??= performance.now();
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-ready"] });
"""
IN_SIGHT = """() => {
  const places = [...document.querySelectorAll(".thumbnail")].filter(
    (place) => place.getBoundingClientRect().top < innerHeight,
  );
  const drawn = places.every((place) => place.querySelector("img")?.complete);
  return places.length > 0 && drawn && performance.now();
}"""
SLIDER = """async ([steps, noise]) => {
  const base = document.querySelector("script[type=module]").src.replace("app.js", "");
  const { limit, magnitudesOf } = await import(`${base}lib/colours.js`);
  const { stageOf } = await import(`${base}stage/stage.js`);
  const [height, width] = [224, 224];
  const outputs = Array.from({ length: 10 }, () =>
    Float32Array.from({ length: height * width }, (_, n) => {
      const wave = Math.sin((n % width) / 20) * Math.sin(n / width / 20);
      return (1 - noise) * wave + noise * (Math.random() - 0.5);
    }),
  );
  const picture = new ImageData(width, height);
  const stages = outputs.map(() => stageOf({ width, height, picture, regions: null }, {}));
  document.querySelector("main").replaceChildren(...stages.map(({ element }) => element));
  const magnitudes = magnitudesOf(...outputs);
  const times = [];
  for (let step = 0; step < steps; step += 1) {
    await new Promise(requestAnimationFrame);
    const began = performance.now();
    const bound = limit(magnitudes, 50 + (50 * step) / steps);
    stages.forEach((stage, k) => stage.showHeat(outputs[k], bound, "red_blue"));
    times.push(performance.now() - began);
  }
  return times;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--kept", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with embedded_set() as running, sync_playwright() as playwright:
        _fill(running, options.kept)
        browser = launch(playwright)
        print(f"{CPU_COUNT} cores, load {os.getloadavg()[0]:.1f}; {options.kept} explanations")
        seen = [_first_views(browser, running.url) for _ in range(options.rounds)]
        for name, rounds in zip(("new", "again"), zip(*seen, strict=True), strict=True):
            paint, listed, pictures = (_told(values) for values in zip(*rounds, strict=True))
            print(f"{name:<6} first paint {paint}, list {listed}, pictures in sight {pictures}")
        page = _opened(browser.new_page(), running.url)
        for name, noise in (("of smooth heat", 0.1), ("of white noise", 1)):
            times = page.evaluate(SLIDER, [100, noise])
            print(f"slider, 224 x 224 x 10 {name}: {_told(times)}")
        print(f"load {os.getloadavg()[0]:.1f}")
        browser.close()


def _fill(running: Running, kept: int) -> None:
    for _ in range(kept):
        running.client.submit(SAMPLE, SETTINGS)
    wait_until(
        lambda: running.client.list(status=Status.SUCCEEDED).total == kept, seconds=10 * kept
    )


def _first_views(browser: Browser, url: str) -> list[tuple[float, float, float]]:
    """Milliseconds to the first paint, the list, the pictures: without files, then with them."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(WATCH)
    page, found = context.new_page(), []
    for _ in range(2):
        page.goto("about:blank")
        _opened(page, url)
        pictures = page.wait_for_function(IN_SIGHT, timeout=PATIENCE_MS).json_value()
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        found.append((page.evaluate(paint), page.evaluate("globalThis.drawn"), pictures))
        page.wait_for_load_state("networkidle")
    context.close()
    return found


def _opened(page: Page, url: str) -> Page:
    page.goto(url)
    page.wait_for_selector("main[data-ready^='/']", timeout=PATIENCE_MS)
    return page


def _told(milliseconds: Sequence[float]) -> str:
    worst = quantiles(milliseconds, n=20, method="inclusive")[-1]
    return f"median {median(milliseconds):.1f} ms, 95th percentile {worst:.1f}"


if __name__ == "__main__":
    main()
