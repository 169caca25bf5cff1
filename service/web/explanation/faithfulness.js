// Curves of faithfulness beside those of a random order, as small charts.
import { h, replace, svg } from "../lib/dom.js";
import { shortFailure } from "../lib/failure.js";
import { formatNumber } from "../lib/numbers.js";

const METRICS = {
  deletion: "Deletion: hides what counts most first; a steep fall is good",
  insertion: "Insertion: shows what counts most first; a steep rise is good",
  keep_positive: "Keeps what speaks for it most; higher is good",
  keep_negative: "Keeps what speaks against it most; lower is good",
  keep_absolute: "Keeps what counts most either way",
  remove_positive: "Removes what speaks for it most; lower is good",
  remove_negative: "Removes what speaks against it most; higher is good",
  remove_absolute: "Removes what counts most either way",
};
const [W, H, LEFT, BOTTOM] = [300, 170, 54, 24]; // of a chart, in units of its view box

// loading: a promise of the document of `…/faithfulness`.
export function faithfulness(document, view, loading) {
  const charts = h("div", { class: "charts" }, "Loading the curves…");
  loading.then(
    ({ curves }) =>
      view.watch((now, changed) => {
        if (!changed.includes("output")) return;
        const { index } = document.outputs[now.output];
        replace(charts, curves.filter(({ output }) => output === index).map(chart));
      }),
    (error) =>
      error.name === "AbortError" ||
      replace(charts, h("p", { class: "field-error" }, shortFailure(error))),
  );
  return h(
    "section",
    { class: "card", "aria-label": "Faithfulness" },
    h("h2", {}, "Does the score follow the heat?"),
    h(
      "p",
      { class: "muted small" },
      h("span", { class: "key ours" }),
      " in the order of this explanation, ",
      h("span", { class: "key random" }),
      " in a random order",
    ),
    charts,
  );
}

function chart({ metric, label, x, y, baseline, area, baseline_area }) {
  const all = [...y, ...baseline];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const span = most - least || 1;
  const right = (share) => LEFT + share * (W - LEFT - 8);
  const up = (score) => H - BOTTOM - ((score - least) / span) * (H - BOTTOM - 10);
  const line = (scores, name) =>
    svg("polyline", {
      class: name,
      points: scores
        .map((score, n) => `${right(x[n]).toFixed(1)},${up(score).toFixed(1)}`)
        .join(" "),
    });
  const text = (at, down, anchor, ...words) =>
    svg("text", { x: at, y: down, "text-anchor": anchor }, ...words);
  const title = METRICS[metric] ?? metric;
  const said = `${title}. Of ${label}: area ${formatNumber(area)}, of a random order ${formatNumber(baseline_area)}.`;
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, title),
    svg(
      "svg",
      { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": said },
      svg("path", { class: "axis", d: `M${LEFT} 6 V${H - BOTTOM} H${W - 6}` }),
      text(LEFT - 5, up(most) + 4, "end", formatNumber(most, 2)),
      text(LEFT - 5, up(least) + 4, "end", formatNumber(least, 2)),
      text(LEFT, H - 6, "start", "0 % of the steps"),
      text(W - 6, H - 6, "end", "100 %"),
      line(baseline, "random"),
      line(y, "ours"),
    ),
    h(
      "p",
      { class: "small" },
      "Area ",
      h("strong", {}, formatNumber(area)),
      `, of a random order ${formatNumber(baseline_area)}`,
    ),
  );
}
