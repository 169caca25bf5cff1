// Reasons to doubt a result: a badge that opens to sentences, each with what it means.
import { h } from "../lib/dom.js";
import { sentence } from "../lib/api.js";
import { plural } from "../lib/numbers.js";
import { NOTES, WARNINGS } from "../lib/warning_texts.js";

export function warningList({ warnings, outputs }) {
  if (!warnings?.length) {
    return h("p", { class: "doubts none" }, h("span", { class: "badge fine" }, "No warnings"));
  }
  const labels = new Map(outputs.map(({ index, label }) => [index, label]));
  const severe = warnings.filter(({ code }) => !NOTES.includes(code));
  const name = severe.length
    ? plural(severe.length, "reason to doubt it", "reasons to doubt it")
    : plural(warnings.length, "note");
  return h("details", { class: "doubts", open: severe.length > 0 },
    h("summary", {}, h("span", { class: `badge ${severe.length ? "caution" : "note"}` }, name)),
    h("ul", {}, warnings.map(({ code, detail, output }) =>
      h("li", { "data-code": code },
        h("p", {}, output === null ? null : h("strong", {}, `${labels.get(output) ?? output}: `), sentence(detail)),
        h("details", { class: "meaning" }, h("summary", {}, "What it means"), h("p", {}, WARNINGS[code] ?? `The documentation has more under “${code}”.`)),
      ))),
  );
}
