// A contact sheet: the heat of the predicted class on each picture, in a chosen order.
import { h, newId, replace } from "../lib/dom.js";
import { shortFailure } from "../lib/failure.js";
import { LEVELS, limit, paint } from "../lib/colours.js";
import { formatNumber, formatShare, plural } from "../lib/numbers.js";
import { keepSequence } from "../lib/sequence.js";
import { palettes, slider } from "../explanation/controls.js";
import { drawGround } from "../stage/stage.js";
import { ORDERS, VERDICTS } from "./cases.js";

const PERCENTILE = 99.9;
const BADGES = { right: "fine", wrong: "caution", unknown: "note" };

// view: observable {order, verdict, truth, predicted, palette, opacity}.
//
// Returns {element, show(case, arrays), fail(case, error), sort(): after credit is known}.
export function contactSheet(cases, nameOf, view) {
  const tiles = new Map(cases.map((each) => [each, tile(each, nameOf)]));
  const list = h("ul", { class: "sheet" });
  const said = h("p", { class: "muted", role: "status" });

  function sort() {
    const { order, verdict, truth, predicted } = view.value;
    const fits = (each) =>
      (!verdict || each.verdict === verdict) &&
      (!truth || (each.truth && nameOf(each.truth) === truth)) &&
      (!predicted || nameOf(each.predicted) === predicted);
    const shown = cases.filter(fits).sort(ORDERS[order][1]);
    keepSequence(
      shown.map(({ id }) => id),
      location.hash,
    );
    const wanted = shown.map((each) => tiles.get(each).element);
    if (wanted.length !== list.children.length || wanted.some((each, n) => list.children[n] !== each))
      replace(list, wanted);
    said.textContent =
      shown.length === cases.length
        ? plural(cases.length, "case")
        : `${formatNumber(shown.length)} of ${plural(cases.length, "case")}`;
  }

  view.watch((now, changed) => {
    if (["order", "verdict", "truth", "predicted"].some((name) => changed.includes(name))) sort();
    if (changed.includes("palette"))
      for (const each of tiles.values()) each.colour(now.palette);
    if (changed.includes("opacity")) list.style.setProperty("--opacity", now.opacity);
  });
  const classes = (of) => [...new Set(cases.map(of).filter(Boolean).map(nameOf))].sort();
  return {
    element: h(
      "section",
      { "aria-label": "Cases" },
      h("h2", {}, "Cases"),
      h(
        "p",
        { class: "muted small" },
        "Worst first: wrong predictions, the highest score of the wrong class on top; then those of " +
          "which it is not known, then the right ones, of each first those with doubts (warnings, such " +
          "as a faithfulness no better than random), then by the lowest score.",
      ),
      h(
        "div",
        { class: "filter-row sheet-tools" },
        select(
          "Order",
          "order",
          Object.entries(ORDERS).map(([name, [title]]) => [name, title]),
          view,
        ),
        select("Prediction", "verdict", [["", "all"], ...Object.entries(VERDICTS)], view),
        select("True class", "truth", named(classes(({ truth }) => truth)), view),
        select("Predicted", "predicted", named(classes(({ predicted }) => predicted)), view),
      ),
      h(
        "div",
        { class: "controls" },
        palettes(view),
        slider(
          "Opacity",
          { min: 0, max: 1, step: 0.05 },
          "opacity",
          (value) => `${Math.round(100 * value)} %`,
          view,
        ),
      ),
      said,
      list,
    ),
    show: (each, arrays) => tiles.get(each).show(arrays, view.value.palette),
    fail: (each, error) => tiles.get(each).fail(error),
    sort,
  };
}

const named = (names) => [["", "all"], ...names.map((each) => [each, each])];

function select(title, name, options, view) {
  const id = newId(name);
  const box = h(
    "select",
    { id, on: { change: () => view.set({ [name]: box.value }) } },
    options.map(([value, text]) => h("option", { value }, text)),
  );
  view.watch((now, changed) => {
    if (changed.includes(name)) box.value = now[name];
  });
  return h("div", { class: "control" }, h("label", { for: id }, title), box);
}

function tile(each, nameOf) {
  const { id, name, truth, predicted, trueScore, verdict, doubts } = each;
  const picture = h("div", { class: "sheet-picture" }, h("span", { class: "muted small" }, "…"));
  const measured = h("p", { class: "small muted" });
  let levels = null; // of each pixel, from 0 to 255: what is kept to change the colours
  let heat = null;
  const element = h(
    "li",
    { class: `sheet-tile ${verdict}` },
    h(
      "a",
      { href: `#/explanations/${id}` },
      picture,
      h("span", { class: "sheet-title" }, nameOf(predicted), ` ${formatNumber(predicted.score)}`),
    ),
    h(
      "p",
      { class: "small" },
      h("span", { class: `badge ${BADGES[verdict]}` }, VERDICTS[verdict]),
      truth && verdict !== "right"
        ? ` truly ${nameOf(truth)}${trueScore === null ? "" : ` ${formatNumber(trueScore)}`}`
        : null,
      doubts.length
        ? [
            " ",
            h(
              "span",
              { class: "badge caution", title: doubts.join(", ").replaceAll("_", " ") },
              plural(doubts.length, "doubt"),
            ),
          ]
        : null,
    ),
    measured,
    name ? h("p", { class: "small file-name" }, name) : null,
  );

  function colour(palette) {
    if (!heat) return;
    const image = new ImageData(heat.width, heat.height);
    const colours = new Uint32Array(LEVELS[palette].buffer);
    const pixels = new Uint32Array(image.data.buffer);
    levels.forEach((level, n) => (pixels[n] = colours[level]));
    heat.getContext("2d").putImageData(image, 0, 0);
  }

  return {
    element,
    colour,
    show({ picture: seen, sums, magnitudes }, palette) {
      const { width, height } = seen;
      const ground = h("canvas", { width, height, "aria-hidden": true });
      heat = h("canvas", { width, height, class: "heat", "aria-hidden": true });
      drawGround(ground, seen, "grey");
      levels = levelsIn(sums, limit(magnitudes, PERCENTILE));
      colour(palette);
      const stage = h("div", { class: "sheet-stage" }, ground, heat);
      stage.style.aspectRatio = `${width} / ${height}`;
      if (height > width) stage.style.height = "100%";
      else stage.style.width = "100%";
      replace(picture, stage);
      measured.textContent = each.credit
        ? `${formatShare(each.credit.centre)} of the credit in the centre`
        : "no pixel has credit";
    },
    fail(error) {
      replace(picture, h("span", { class: "muted small" }, "not loaded"));
      measured.textContent = shortFailure(error);
    },
  };
}

// The level of each pixel, by painting with colours that are their own numbers.
function levelsIn(sums, bound) {
  const numbers = new Uint8ClampedArray(new Uint32Array(256).map((_, n) => n).buffer);
  const painted = new Uint8ClampedArray(4 * sums.length);
  paint(Float32Array.from(sums), bound, numbers, painted);
  return Uint8Array.from(new Uint32Array(painted.buffer));
}
