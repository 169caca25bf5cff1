// What if: hide regions of an explained picture and see the scores move.
import { modelsOf } from "../lib/comparison.js";
import { h, replace } from "../lib/dom.js";
import { getJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { formatInterval, formatNumber, formatSigned } from "../lib/numbers.js";
import { observable } from "../lib/observable.js";
import { loadResult } from "../lib/result.js";
import { askAgain } from "../explanation/ask_again.js";
import { palettes, slider } from "../explanation/controls.js";
import { regionTable } from "../explanation/region_table.js";
import { answers } from "../what_if/answers.js";
import { readHidden, textOf } from "../what_if/coalitions.js";
import { maskedPicture } from "../what_if/masked_picture.js";
import { regionPicture } from "../what_if/region_picture.js";
import { scoreLine } from "../what_if/score_line.js";
import { scoreTable } from "../what_if/score_table.js";
import { tools } from "../what_if/tools.js";
import { trail } from "../what_if/trail.js";

const trails = new Map(); // by id: what was tried in this tab, for whoever comes back

export async function show(main, { id, query, signal }) {
  replace(main, h("p", { class: "muted" }, "Looking for the explanation…"));
  const document = await getJson(`v1/explanations/${id}`, { signal });
  const back = h("a", { href: `#/explanations/${id}` }, "The explanation");
  const title = h("h1", {}, "What if");
  if (!document.links.attributions || document.region_count === null) {
    replace(main, title, unavailable(document), h("p", {}, back));
    return;
  }
  const [{ label, index }] = document.outputs;
  title.append(`: ${label || `output ${index}`}`);
  replace(main, title, h("p", { class: "muted" }, "Loading the arrays…"));
  const result = await loadResult(document, signal);
  const { count } = result.regions;
  if (!trails.has(id)) trails.set(id, new Map());
  const tried = trails.get(id);
  const { hidden, wrong } = readHidden(query, count);
  const wanted = document.outputs.findIndex(({ index }) => String(index) === query.get("output"));
  const first = Math.max(wanted, 0);
  await result.ensure(first); // of very many outputs, only some are loaded at once

  // hidden: Set of regions. past: the sets chosen before. scores, picture, problem, slow: of what is
  // hidden, see `answers`. The others are as on the screen of the explanation.
  const view = observable({
    output: first,
    region: null,
    pinned: false,
    opacity: 0,
    percentile: 99.9,
    scale: "own",
    palette: "red_blue",
    ground: "colour",
    outlines: true,
    hidden,
    past: [],
    scores: null,
    picture: null,
    problem: null,
    slow: false,
  });
  const choose = (next) => {
    const { hidden: now, past } = view.value;
    if (textOf(next, count) !== textOf(now, count))
      view.set({ hidden: next, past: [...past, now] });
  };
  const undo = () => {
    const { past } = view.value;
    if (past.length > 0) view.set({ hidden: past.at(-1), past: past.slice(0, -1) });
  };
  const toggle = (region) => {
    const next = new Set(view.value.hidden);
    if (!next.delete(region)) next.add(region);
    choose(next);
  };

  view.watch(({ hidden: now, output }, changed) => {
    if (!changed.includes("hidden") && !changed.includes("output")) return;
    const parts = [
      now.size > 0 ? textOf(now, count) : null,
      output > 0 ? `output=${document.outputs[output].index}` : null,
    ].filter(Boolean);
    const address = `#/explanations/${id}/what-if${parts.length ? `?${parts.join("&")}` : ""}`;
    history.replaceState(null, "", new URL(address, location.href));
  });
  const again = answers(document, result, view, tried, signal);
  addEventListener(
    "keydown",
    (event) => {
      if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey)
        return;
      if (event.target.closest("input:not([type='radio']):not([type='range'])")) return;
      event.preventDefault();
      undo();
    },
    { signal },
  );

  replace(
    main,
    h(
      "header",
      { class: "result-head" },
      title,
      h(
        "p",
        { class: "muted" },
        back,
        ["", document.image.name, modelsOf(document), document.settings.method]
          .filter((part) => part !== null)
          .join(" · "),
      ),
      wrong.length > 0
        ? h(
            "p",
            { class: "field-error" },
            `The address names what are not regions of this explanation, which has 0 to ${count - 1}: ${wrong.join(", ").slice(0, 200)}. They are left out.`,
          )
        : null,
    ),
    h(
      "div",
      { class: "what-if-grid" },
      h(
        "div",
        { class: "what-if-left" },
        scoreLine(document, view),
        problemBox(document, view, again),
        h(
          "div",
          { class: "card what-if-pictures" },
          h(
            "figure",
            { class: "what-if-figure" },
            h("figcaption", {}, h("strong", {}, "Click a region to hide it")),
            regionPicture(result, document, view, toggle, signal),
            readout(result, document, view),
          ),
          maskedPicture(document, result, view),
          heatControls(view),
        ),
        tools(document, result, view, { choose, undo }),
      ),
      h(
        "div",
        { class: "what-if-right" },
        scoreTable(document, result, view, signal),
        trail(document, result, view, tried, choose),
      ),
    ),
    regionTable(result, document, view, { toggle }),
  );
}

// Why there is nothing to hide, and what to do.
function unavailable(document) {
  if (!document.done)
    return h("p", {}, "The explanation is not done yet. Regions can be hidden once it is.");
  if (!document.links.attributions)
    return h("p", {}, "The explanation ended without a result, so it has no regions to hide.");
  return [
    h(
      "p",
      {},
      "This explanation has no table of regions: more than 10,000 parts, such as single pixels, have values of their own, or more than a table holds for so many outputs. Hiding one of them hardly moves a score, so What if needs larger parts.",
    ),
    h(
      "p",
      {},
      "Ask again with larger players: choose “superpixels (SLIC)” or “squares of a grid” at Players, in the API ",
      h("code", {}, '"superpixels": {"kind": "slic"}'),
      ".",
    ),
    h("p", {}, askAgain(document)),
  ];
}

// What is missing and why; nothing that was chosen is lost.
function problemBox(document, view, again) {
  const box = h("div", { class: "what-if-problem", role: "alert", tabindex: "-1" });
  const retry = () => {
    box.focus(); // the button goes
    again();
  };
  view.watch(({ problem }, changed) => {
    if (!changed.includes("problem")) return;
    replace(box);
    if (!problem) return;
    const { code } = problem.error.problem ?? problem.error;
    const lost = ["model_changed", "no_result"].includes(code);
    const gone = ["gone", "not_found"].includes(code);
    replace(
      box,
      h(
        "div",
        { class: "failure", "data-code": code },
        h("p", {}, h("strong", {}, `No ${problem.of}. `), shortFailure(problem.error)),
        h(
          "p",
          { class: "row tight" },
          h("button", { type: "button", on: { click: retry } }, "Try again"),
          lost ? askAgain(document) : null,
          gone ? h("a", { class: "button", href: "#/new" }, "New explanation") : null,
          h("span", { class: "muted small" }, "What you chose is kept, here and in the address."),
        ),
      ),
    );
  });
  return box;
}

// The region under the pointer, or the current one of the keyboard.
function readout({ regions }, document, view) {
  const box = h("p", { class: "what-if-readout small", id: "readout", "aria-live": "polite" });
  view.watch(({ region, hidden, output }, changed) => {
    if (!["region", "hidden", "output"].some((name) => changed.includes(name))) return;
    if (region === null) {
      replace(
        box,
        h("span", { class: "muted" }, "Or focus the picture and use the arrow keys and Space."),
      );
      return;
    }
    const { value, low, high, rank } = regions.credit[output].of(region);
    replace(
      box,
      `Region ${region}, ${hidden.has(region) ? "hidden" : "shown"}: `,
      h(
        "strong",
        { class: value < 0 ? "against" : "for" },
        low === null ? formatSigned(value) : formatInterval(value, low, high),
      ),
      ` ${value < 0 ? "against" : "for"} “${document.outputs[output].label}”, rank ${formatNumber(rank)} of ${formatNumber(regions.count)}.`,
    );
  });
  return box;
}

function heatControls(view) {
  return h(
    "div",
    { class: "controls" },
    slider(
      "Heat",
      { min: 0, max: 1, step: 0.01 },
      "opacity",
      (value) => (value > 0 ? `${Math.round(100 * value)} %` : "off"),
      view,
    ),
    palettes(view),
  );
}
