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
  const codes = [...new Set(warnings.map(({ code }) => code))];
  const severe = codes.filter((code) => !NOTES.includes(code));
  const name = severe.length
    ? plural(severe.length, "reason to doubt it", "reasons to doubt it")
    : plural(codes.length, "note");
  return h(
    "details",
    { class: "doubts" },
    h("summary", {}, h("span", { class: `badge ${severe.length ? "caution" : "note"}` }, name)),
    h(
      "ul",
      {},
      codes.map((code) =>
        h(
          "li",
          { "data-code": code },
          warnings
            .filter((each) => each.code === code)
            .map(({ detail, output }) =>
              h(
                "p",
                {},
                output === null ? null : h("strong", {}, `${labels.get(output) ?? output}: `),
                sentence(detail),
              ),
            ),
          h(
            "p",
            { class: "muted small" },
            WARNINGS[code] ?? `The documentation has more under “${code}”.`,
          ),
        ),
      ),
    ),
  );
}
