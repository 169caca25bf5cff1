// The scores of all explained outputs: of the full picture, now, and as the values predict.
import { h, replace } from "../lib/dom.js";
import { shortFailure } from "../lib/failure.js";
import { formatNumber, formatSigned } from "../lib/numbers.js";
import { predicted } from "./coalitions.js";

export function scoreTable({ outputs, settings }, result, view, signal) {
  const { regions } = result;
  const problem = h("p", { class: "field-error", role: "alert" });
  const note = h("p", { class: "small" });

  async function choose(k) {
    problem.textContent = "";
    try {
      await result.ensure(k); // of very many outputs, only some are loaded at once
      view.set({ output: k });
    } catch (error) {
      if (signal.aborted) return;
      problem.textContent = shortFailure(error);
      rows[view.value.output].radio.checked = true;
    }
  }

  const rows = outputs.map((output, k) => {
    const radio = h("input", {
      type: "radio",
      name: "what-if-output",
      value: k,
      on: { change: () => choose(k) },
    });
    const [now, change, values] = [0, 1, 2].map(() => h("td", { class: "number" }));
    const row = h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        h("label", {}, radio, h("span", {}, output.label || `output ${output.index}`)),
      ),
      h("td", { class: "number" }, formatNumber(output.score)),
      now,
      change,
      values,
    );
    return { row, radio, now, change, values };
  });
  const table = h("table", { class: "outputs what-if-outputs" });

  view.watch(({ output, scores, hidden }, changed) => {
    if (!["output", "scores", "hidden"].some((name) => changed.includes(name))) return;
    table.classList.toggle("stale", !scores);
    rows.forEach(({ row, radio, now, change, values }, k) => {
      row.classList.toggle("current", k === output);
      radio.checked = k === output;
      const prediction = predicted(regions, outputs, k, hidden);
      values.textContent = formatNumber(prediction);
      if (!scores) return;
      now.textContent = formatNumber(scores[k]);
      change.textContent = formatSigned(scores[k] - outputs[k].score);
    });
    if (scores) replace(note, inWords(scores[output], predicted(regions, outputs, output, hidden)));
  });
  replace(
    table,
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "Output"),
        ["Full picture", "Now", "Change", "Values predict"].map((name) =>
          h("th", { scope: "col", class: "number" }, name),
        ),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map(({ row }) => row),
    ),
  );
  return h(
    "section",
    { class: "card", "aria-label": "Scores" },
    h("h2", {}, settings.link === "logit" ? "Scores, in log-odds" : "Scores"),
    h(
      "div",
      {
        class: "table-scroll outputs-scroll",
        tabindex: "0",
        role: "region",
        "aria-label": "Scores of all outputs",
      },
      table,
    ),
    problem,
    note,
    h(
      "p",
      { class: "muted small" },
      "The values predict the base value plus the values of the shown regions. Where the score is another, regions act together, which one value per region cannot tell, or the values are not settled.",
    ),
  );
}

function inWords(now, prediction) {
  if (prediction === null) return "";
  const off = now - prediction;
  return [
    `The values predict ${formatNumber(prediction)}; the score is `,
    Math.abs(off) < 5e-4 * Math.max(Math.abs(now), Math.abs(prediction), 1e-3)
      ? "the same."
      : h("span", {}, `${formatNumber(Math.abs(off), 2)} ${off > 0 ? "higher" : "lower"}.`),
  ];
}
