// What was tried, with its score: each row goes back to it.
import { h, replace } from "../lib/dom.js";
import { formatNumber, formatSigned } from "../lib/numbers.js";
import { inWords, readHidden, textOf } from "./coalitions.js";

// tried: Map from the text of a coalition to its scores, in the order of trying.
export function trail({ outputs }, { regions: { count } }, view, tried, choose) {
  const body = h("tbody", {});
  const score = h("th", { scope: "col", class: "number" });
  view.watch((now, changed) => {
    if (!["output", "scores"].some((name) => changed.includes(name))) return;
    const present = textOf(now.hidden, count);
    const full = outputs[now.output].score;
    score.textContent = outputs[now.output].label || "Score";
    const had = body.contains(globalThis.document.activeElement);
    const rows = [...tried].reverse().map(([text, scores]) => {
      const { hidden } = readHidden(new URLSearchParams(text), count);
      const current = text === present;
      const button = h(
        "button",
        {
          type: "button",
          class: "row-button",
          "aria-current": current ? "true" : null,
          on: { click: () => choose(hidden) },
        },
        inWords(hidden, count),
      );
      return h(
        "tr",
        { class: current ? "current" : null },
        h("th", { scope: "row" }, button),
        h("td", { class: "number" }, formatNumber(scores[now.output])),
        h("td", { class: "number" }, formatSigned(scores[now.output] - full)),
      );
    });
    replace(body, rows);
    if (had) body.querySelector("[aria-current]")?.focus();
  });
  return h(
    "section",
    { class: "card", "aria-label": "Tried" },
    h("h2", {}, "Tried"),
    h("p", { class: "muted small" }, "The newest first. A row goes back to it."),
    h(
      "div",
      {
        class: "table-scroll what-if-trail",
        tabindex: "0",
        role: "region",
        "aria-label": "What was tried",
      },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "Regions"),
            score,
            h("th", { scope: "col", class: "number" }, "Change"),
          ),
        ),
        body,
      ),
    ),
  );
}
