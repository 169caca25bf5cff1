// One explanation minus another, pixel by pixel, where both have the same shape.
import { h, newId, replace } from "../lib/dom.js";
import { limit, magnitudesOf } from "../lib/colours.js";
import { formatNumber, formatSigned } from "../lib/numbers.js";
import { stageOf } from "../stage/stage.js";
import { pairsOf, sameShape } from "./agreement.js";
import { outputOf } from "./classes.js";
import { mismatch } from "./places.js";

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
  const frame = h("div", {});
  let stage = null; // of the pair
  const said = h("p", { class: "small" });
  const reading = h("p", { class: "small" });
  let differences = null;

  view.watch((now, changed) => {
    const any = (...names) => names.some((name) => changed.includes(name));
    const [one, other] = pairs[now.pair];
    if (any("pair")) {
      stage = stageOf(one.result, { role: "img" });
      replace(frame, stage.element);
    }
    if (any("pair", "ground")) stage.showGround(now.ground);
    if (any("pair", "opacity")) stage.showOpacity(now.opacity);
    if (any("pair", "label", "palette")) {
      const [j, k] = [outputOf(one, now.label), outputOf(other, now.label)];
      differences = null;
      if (j < 0 || k < 0) {
        stage.showHeat(null);
        said.textContent = "Not both explain the class.";
      } else {
        const [a, b] = [one.result.sums[j], other.result.sums[k]];
        differences = Float32Array.from(a, (value, n) => value - b[n]);
        const bound = limit(magnitudesOf(differences), now.percentile);
        stage.showHeat(differences, bound, now.palette);
        const sum = differences.reduce((total, each) => total + each, 0);
        replace(
          said,
          `Full colour at ±${formatNumber(bound, 2)} a pixel; over all pixels `,
          h("strong", { class: sum < 0 ? "against" : "for" }, formatSigned(sum)),
          `. ${mismatch([one, other]) ?? ""}`,
        );
      }
      stage.element.setAttribute(
        "aria-label",
        `Attributions of ${one.letter} minus those of ${other.letter}. ${said.textContent}`,
      );
    }
    if (any("place", "pair", "label")) {
      const at = now.place && places.to(one, now.place);
      reading.textContent =
        at && differences
          ? `${formatSigned(differences[(at.y | 0) * one.result.width + (at.x | 0)])} at the marked pixel`
          : "";
    }
  });
  return h(
    "section",
    { class: "card difference", "aria-label": "Difference" },
    h("h2", {}, "Difference"),
    h("div", { class: "row" }, h("label", { for: select.id }, "Pair"), select),
    frame,
    said,
    reading,
  );
}
