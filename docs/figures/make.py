"""Makes the pictures of docs/tutorial.md and docs/choosing.md anew, by a running server.

    make run                                         # in one terminal
    .venv/bin/python docs/figures/make.py            # in another; --url names another server

Each picture is an answer of the server, or several side by side, reduced to 160 colours.
"""

import argparse
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from service.schemas.scores import Coalition
from shapshot import Client

HERE = Path(__file__).parent
COFFEE = HERE.parents[1] / "service" / "samples" / "coffee.jpg"
FONT = ImageFont.load_default(15)
BLUR = "blur(56,56)"
MASKERS = ("inpaint_telea", BLUR, "mean", "constant(0)")
SLIC = {"kind": "slic", "segments": 50}
ESPRESSO: Mapping[str, Any] = {"outputs": {"labels": ["espresso"]}}
# One explanation of the tutorial; its commands are in docs/tutorial.md
TUTORIAL = {
    "method": "kernel",
    "superpixels": {"kind": "slic", "segments": 30},
    "masker": BLUR,
    "max_evals": 400,
    "outputs": {"top": 2},
}
Titled = Sequence[tuple[str, bytes]]  # title and PNG


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    with Client(parser.parse_args().url) as client:
        tutorial(client)
        maskers(client)
        methods(client)
        players(client)
        evaluations(client)


def tutorial(client: Client) -> None:
    first = client.explain(COFFEE, {"outputs": {"top": 2}})
    save("first", opened(client.heatmap(first.id)))
    regions = client.explain(COFFEE, TUTORIAL | {"metrics": ["deletion", "insertion"]})
    save("regions", opened(client.heatmap(regions.id)))
    save("numbers", numbered(client, regions.id))
    save("faithfulness", opened(client.faithfulness_chart(regions.id, output=["espresso"])))
    table = client.regions(regions.id, output=["espresso"]).regions
    largest = [each.region for each in sorted(table, key=lambda each: each.credit[0].rank)[:2]]
    pictures = [
        (title, client.masked_picture(regions.id, Coalition(hidden=hidden)))
        for title, hidden in (("everything shown", []), (f"without regions {largest}", largest))
    ]
    save("hidden", grid([pictures]))
    other = client.explain(COFFEE, TUTORIAL | {"masker": "mean"})
    save("other_masker", opened(client.figure([regions.id, other.id], scale="row")))


def maskers(client: Client) -> None:
    """One row of pictures with half of the regions hidden, one of overlays."""
    masked, overlays = [], []
    for masker in MASKERS:
        explanation = explained(client, masker=masker)
        half = Coalition(hidden=list(range(0, explanation.region_count or 0, 2)))
        [[score]] = client.scores(explanation.id, [half]).scores or [[0]]
        picture = client.masked_picture(explanation.id, half)
        masked.append((f"{masker}: {score:.2f}", picture))
        overlays.append(overlay(client, explanation.id, masker))
    save("maskers", grid([masked, overlays]))


def methods(client: Client) -> None:
    regions = {"superpixels": SLIC, "masker": BLUR}
    few = {"superpixels": {"kind": "slic", "segments": 10}, "masker": BLUR}
    asked = {
        "partition, 500": {"method": "partition", "masker": BLUR, "max_evals": 500},
        "permutation, 505": {"method": "permutation", "max_evals": 505} | regions,
        "kernel, 500": {"method": "kernel", "max_evals": 500} | regions,
        "gaussian_process, 500": {"method": "gaussian_process", "max_evals": 500} | regions,
        "exact, 10 regions": {"method": "exact", "max_evals": 1024} | few,
    }
    save("methods", grid([overlays(client, asked)]))


def players(client: Client) -> None:
    """The same masker and about as many evaluations, by the kind of players."""
    kernel = {"method": "kernel", "masker": BLUR, "max_evals": 500}
    asked = {
        "pixels (partition)": {"method": "partition", "masker": BLUR, "max_evals": 500},
        "50 SLIC regions": kernel | {"superpixels": SLIC},
        "grid of 7 x 7": kernel | {"superpixels": {"kind": "grid", "rows": 7, "columns": 7}},
        "label map": {"method": "exact", "superpixels": {"kind": "labels"}, "masker": BLUR},
    }
    save("players", grid([overlays(client, asked)]))


def evaluations(client: Client) -> None:
    """Overlays at three budgets, and below them the intervals of the largest regions."""
    counts = (50, 200, 1000)
    found = {
        count: explained(client, method="gaussian_process", max_evals=count) for count in counts
    }
    save(
        "evaluations",
        grid([[overlay(client, each.id, f"{n} evaluations") for n, each in found.items()]]),
    )
    tables = {
        count: {region.region: region.credit[0] for region in client.regions(each.id).regions}
        for count, each in found.items()
    }
    shown = sorted(tables[1000], key=lambda region: tables[1000][region].rank)[:12]
    figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    for place, (count, table) in enumerate(tables.items()):
        values = np.array([table[region].value for region in shown])
        ends = np.array([(table[region].low, table[region].high) for region in shown]).T
        x = np.arange(len(shown)) + 0.22 * (place - 1)
        errors = np.abs(ends - values)
        axes.errorbar(x, values, errors, fmt="o", ms=4, capsize=3, label=f"{count} evaluations")
    axes.axhline(0, color="grey", lw=0.8)
    axes.set_xticks(range(len(shown)), [str(region) for region in shown])
    axes.set(xlabel="region, largest first", ylabel="Shapley value")
    axes.legend(frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    save("intervals", opened(content.getvalue()))


def label_map() -> np.ndarray:
    """Six regions by hand: table, saucer, cup, rim, inside and spoon, of the photo (400, 600)."""
    y, x = np.mgrid[0:400, 0:600]
    ellipses = [  # centre and radii
        (288, 236, 193, 178),
        (291, 150, 114, 104),
        (291, 114, 118, 97),
        (291, 120, 97, 76),
        (364, 280, 42, 46),
    ]
    labels = np.zeros((400, 600), np.uint8)
    for label, (cx, cy, rx, ry) in enumerate(ellipses, 1):
        labels[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1] = label
    return labels


def explained(client: Client, **settings: Any) -> Any:
    """Explains "espresso" by 50 regions."""
    asked = {"method": "kernel", "superpixels": SLIC, "masker": BLUR, "max_evals": 500}
    return client.explain(COFFEE, asked | ESPRESSO | settings)


def overlays(client: Client, asked: Mapping[str, Mapping[str, Any]]) -> Titled:
    pictures = []
    for title, settings in asked.items():
        labels = label_map() if settings.get("superpixels") == {"kind": "labels"} else None
        explanation = client.explain(COFFEE, {**settings, **ESPRESSO}, label_map=labels)
        pictures.append(overlay(client, explanation.id, title))
    return pictures


def overlay(client: Client, explanation_id: str, title: str) -> tuple[str, bytes]:
    return title, client.heatmap(explanation_id, "overlay", size="model")


def numbered(client: Client, explanation_id: str) -> Image.Image:
    """Returns the picture with its regions outlined and numbered."""
    arrays = client.attributions(explanation_id)
    regions = np.kron(arrays.regions, np.ones((2, 2), int))  # (2 H, 2 W)
    edges = (regions != np.roll(regions, 1, 0)) | (regions != np.roll(regions, 1, 1))
    edges[0], edges[:, 0] = False, False
    levels = np.kron(arrays.data, np.ones((2, 2, 1))).astype(np.uint8)
    levels[edges] = 255
    picture = Image.fromarray(levels)
    draw = ImageDraw.Draw(picture)
    for region in np.unique(regions):  # at its pixel nearest to the centroid
        y, x = np.nonzero(regions == region)
        nearest = np.argmin((x - x.mean()) ** 2 + (y - y.mean()) ** 2)
        place = (int(x[nearest]), int(y[nearest]))
        draw.text(place, str(region), "white", FONT, "mm", stroke_width=2, stroke_fill="black")
    return picture


def grid(rows: Sequence[Titled]) -> Image.Image:
    """Pictures in rows, each under its title."""
    cells = [[(title, opened(png).convert("RGB")) for title, png in row] for row in rows]
    width = max(picture.width for row in cells for _, picture in row)
    height = max(picture.height for row in cells for _, picture in row)
    gap, line = 8, 22
    columns = max(map(len, cells))
    size = columns * (width + gap) - gap, len(cells) * (height + line + gap) - gap
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for row, pictures in enumerate(cells):
        for column, (title, picture) in enumerate(pictures):
            left, top = column * (width + gap), row * (height + line + gap)
            draw.text((left + 2, top + 1), title, "black", FONT)
            sheet.paste(picture, (left, top + line))
    return sheet


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def save(name: str, picture: Image.Image) -> None:
    """Writes a picture beside this file, of 160 colours."""
    path = HERE / f"{name}.png"
    picture = picture.convert("RGB")
    picture.quantize(palette=picture.quantize(160)).save(path, optimize=True)  # dithered
    print(f"{path.name}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
