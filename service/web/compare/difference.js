// One explanation minus another, pixel by pixel, where both have the same shape.
import { h, newId, replace } from "../lib/dom.js";
import { limit, magnitudesOf, paint } from "../lib/colours.js";
import { formatNumber, formatSigned } from "../lib/numbers.js";
import { LEVELS, drawGround } from "../explanation/heat_view.js";
import { pairsOf, sameShape } from "./agreement.js";
import { outputOf } from "./classes.js";
import { sameUpload } from "./places.js";

export function difference(items, places, view) {
  const pairs = pairsOf(items)
    .filter(([one, other]) => sameShape(one, other))
    .flatMap(([one, other]) => [
      [one, other],
      [other, one],
    ]);
  if (pairs.length === 0) {
    return h(
      "section",
      { class: "card", "aria-label": "Difference" },
      h("h2", {}, "Difference"),
      h("p", {}, "The models’ pictures have different sizes, so no pixel has a counterpart."),
    );
  }
  const select = h(
    "select",
    { id: newId("pair"), on: { change: () => view.set({ pair: Number(select.value) }) } },
    pairs.map(([one, other], n) => h("option", { value: n }, `${one.letter} − ${other.letter}`)),
  );
  const ground = h("canvas", { class: "ground", "aria-hidden": true });
  const heat = h("canvas", { class: "heat", "aria-hidden": true });
  const stage = h("div", { class: "stage", role: "img" }, ground, heat);
  const said = h("p", { class: "small" });
  const reading = h("p", { class: "small" });
  let differences = null;

  view.watch((now, changed) => {
    const any = (...names) => names.some((name) => changed.includes(name));
    const [one, other] = pairs[now.pair];
    const { width, height, picture } = one.result;
    if (any("pair")) {
      for (const canvas of [ground, heat]) [canvas.width, canvas.height] = [width, height];
      stage.style.aspectRatio = `${width} / ${height}`;
    }
    if (any("pair", "ground")) drawGround(ground, picture, now.ground);
    if (any("opacity")) heat.style.opacity = now.opacity;
    if (any("pair", "label", "palette")) {
      const [j, k] = [outputOf(one, now.label), outputOf(other, now.label)];
      differences = null;
      heat.hidden = j < 0 || k < 0;
      if (heat.hidden) {
        said.textContent = "Not both explain the class.";
      } else {
        const [a, b] = [one.result.sums[j], other.result.sums[k]];
        differences = Float32Array.from(a, (value, n) => value - b[n]);
        const bound = limit(magnitudesOf(differences), now.percentile);
        const image = new ImageData(width, height);
        paint(differences, bound, LEVELS[now.palette], image.data);
        heat.getContext("2d").putImageData(image, 0, 0);
        const sum = differences.reduce((total, each) => total + each, 0);
        replace(
          said,
          `Full colour at ±${formatNumber(bound, 2)} a pixel; over all pixels `,
          h("strong", { class: sum < 0 ? "against" : "for" }, formatSigned(sum)),
          sameUpload([one, other]) ? "." : ". The pictures differ, so a place shows two things.",
        );
      }
      stage.setAttribute(
        "aria-label",
        `Attributions of ${one.letter} minus those of ${other.letter}. ${said.textContent}`,
      );
    }
    if (any("place", "pair", "label")) {
      const at = now.place && places.to(one, now.place);
      reading.textContent =
        at && differences
          ? `${formatSigned(differences[(at.y | 0) * width + (at.x | 0)])} at the marked pixel`
          : "";
    }
  });
  return h(
    "section",
    { class: "card difference", "aria-label": "Difference" },
    h("h2", {}, "Difference"),
    h("div", { class: "row" }, h("label", { for: select.id }, "Pair"), select),
    stage,
    said,
    reading,
  );
}
