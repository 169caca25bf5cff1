// How far two explanations order places alike, by Spearman's rank correlation.
import { h, replace } from "../lib/dom.js";
import { formatNumber } from "../lib/numbers.js";
import { spearman } from "../lib/ranks.js";
import { outputOf } from "./classes.js";
import { mismatch } from "./places.js";

export function pairsOf(items) {
  return items.flatMap((one, n) => items.slice(n + 1).map((other) => [one, other]));
}

export const sameShape = ({ result: a }, { result: b }) =>
  a.width === b.width && a.height === b.height;

export function agreement(items, view) {
  const body = h("tbody", {});
  view.watch((now, changed) => {
    if (changed.includes("label")) replace(body, pairsOf(items).map(row));
  });

  function row([one, other]) {
    const [found, over] = compared(one, other, view.value.label);
    const unlike = mismatch([one, other]);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, `${one.letter} and ${other.letter}`),
      h("td", { class: "number" }, found === null ? "–" : formatNumber(found)),
      h(
        "td",
        {},
        over,
        found !== null && unlike ? h("p", { class: "caution-text" }, unlike) : null,
      ),
    );
  }

  return h(
    "section",
    { class: "card", "aria-label": "Agreement" },
    h("h2", {}, "Agreement of ranks"),
    h(
      "div",
      { class: "table-scroll" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "Pair"),
            h("th", { scope: "col", class: "number" }, "Spearman’s ρ"),
            h("th", { scope: "col" }, "Over"),
          ),
        ),
        body,
      ),
    ),
    h(
      "p",
      { class: "muted small" },
      "Of the signed values: 1, the same order; 0, no relation; −1, the reverse order.",
    ),
  );
}

// [ρ or null, what it is over, or why there is none].
function compared(one, other, label) {
  const [j, k] = [outputOf(one, label), outputOf(other, label)];
  if (j < 0 || k < 0) return [null, "not both explain the class"];
  const shared = sharedRegions(one.result, other.result);
  if (shared) {
    const [a, b] = [one.result.regions.credit[j], other.result.regions.credit[k]];
    const found = spearman(
      shared.map(([region]) => a.of(region).value),
      shared.map(([, region]) => b.of(region).value),
    );
    return told(found, `${formatNumber(shared.length)} shared regions`);
  }
  const [a, b] = [one.result, other.result];
  const size = ({ width, height }) => `${width} × ${height}`;
  if (!sameShape(one, other))
    return [null, `pictures of ${size(a)} and ${size(b)} pixels have no pixel in common`];
  return told(spearman(a.sums[j], b.sums[k]), `${formatNumber(a.sums[j].length)} pixels`);
}

const told = (found, over) =>
  Number.isNaN(found) ? [null, `${over}, but all values of one are equal`] : [found, over];

// Pairs of numbers of the same region, where both divide the picture alike; else null.
function sharedRegions({ regions: a, ...one }, { regions: b, ...other }) {
  if (!a || !b || one.width !== other.width || a.ids.length !== b.ids.length) return null;
  const [forth, back] = [new Map(), new Map()];
  for (let n = 0; n < a.ids.length; n += 1) {
    const [i, j] = [a.ids[n], b.ids[n]];
    if (!forth.has(i) && !back.has(j)) {
      forth.set(i, j);
      back.set(j, i);
    } else if (forth.get(i) !== j || back.get(j) !== i) return null;
  }
  return [...forth].filter(([i, j]) => i >= 0 && j >= 0);
}
