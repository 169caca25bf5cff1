// The explained outputs; choosing one shows its heat.
import { h } from "../lib/dom.js";
import { shortFailure } from "../lib/failure.js";
import { formatNumber, formatSigned } from "../lib/numbers.js";

export function outputsTable(document, result, view, signal) {
  const problem = h("p", { class: "field-error", role: "alert" });

  async function choose(k) {
    problem.textContent = "";
    try {
      await result.ensure(k); // of very many outputs, only some are loaded at once
      view.set({ output: k });
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
  }

  const logit = document.settings.link === "logit";
  const rows = document.outputs.map((output, k) => {
    const radio = h("input", {
      type: "radio",
      name: "output",
      value: k,
      id: `output-${k}`,
      on: { change: () => choose(k) },
    });
    return h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        h(
          "label",
          { for: `output-${k}` },
          radio,
          h("span", {}, output.label || `output ${output.index}`),
        ),
      ),
      h("td", { class: "number" }, formatNumber(output.score, 4)),
      h("td", { class: "number" }, formatNumber(output.base_value)),
      h("td", { class: "number" }, formatSigned(output.attribution_sum)),
    );
  });
  view.watch((now, changed) => {
    if (!changed.includes("output")) return;
    rows.forEach((row, k) => {
      row.classList.toggle("current", k === now.output);
      row.querySelector("input").checked = k === now.output;
    });
  });
  return h(
    "section",
    { class: "card", "aria-label": "Outputs" },
    h("h2", {}, "Outputs"),
    h(
      "div",
      {
        class: "table-scroll outputs-scroll",
        tabindex: rows.length > 8 ? "0" : null,
        role: rows.length > 8 ? "region" : null,
        "aria-label": rows.length > 8 ? "Outputs" : null,
      },
      h(
        "table",
        { class: "outputs" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "Output"),
            h("th", { scope: "col", class: "number" }, logit ? "Log-odds" : "Score"),
            h("th", { scope: "col", class: "number" }, "Base value"),
            h("th", { scope: "col", class: "number" }, "Sum of values"),
          ),
        ),
        h("tbody", {}, rows),
      ),
    ),
    problem,
    h(
      "p",
      { class: "muted small" },
      "The score is the base value, of the picture with everything hidden, plus the sum of the values of all regions.",
    ),
  );
}
