// An explanation in the list: a small picture, its top class, and what it was made by.
import { h } from "../lib/dom.js";
import { formatNumber, formatShare, formatTime, plural } from "../lib/numbers.js";
import { NOTES } from "../lib/warning_texts.js";
import { nameOf } from "./selection.js";

const VERDICTS = { true: ["fine", "✓ right"], false: ["caution", "✗ wrong"] }; // by `correct`
const BADGES = { succeeded: "fine", failed: "caution" };

// onChoose(document, chosen): called when it is selected, or no more.
export function tile(document, { chosen, load, onChoose }) {
  const { id, status, done, outputs, model, settings, image, warnings, error, progress } = document;
  const { correct, true_label: truth } = document;
  const [look, verdict] = VERDICTS[correct] ?? [];
  const picture = h("div", { class: "thumbnail" });
  load(picture, document);
  const top = outputs?.[0];
  const codes = new Set((warnings ?? []).map(({ code }) => code)); // some are given for each output
  const notes = NOTES.filter((code) => codes.has(code)).length;
  const doubts = codes.size - notes;
  const box = h("input", {
    type: "checkbox",
    "data-id": id,
    "aria-label": `Select ${nameOf(document)}`,
    on: { change: () => onChoose(document, box.checked) },
  });
  box.checked = chosen;
  return h(
    "li",
    { class: "tile" },
    h(
      "a",
      { href: `#/explanations/${id}` },
      picture,
      h(
        "span",
        { class: "tile-title" },
        top
          ? [h("strong", {}, top.label), ` ${formatNumber(top.score)}`]
          : h("strong", {}, error ? error.title : "Not known yet"),
      ),
    ),
    h("label", { class: "tile-choose" }, box),
    truth
      ? h(
          "p",
          { class: "small" },
          verdict ? [h("span", { class: `badge ${look}` }, verdict), " "] : null,
          correct ? null : `true class: ${truth.label || `output ${truth.index}`}`,
        )
      : null,
    h(
      "p",
      { class: "muted small" },
      image.name ? [h("span", { class: "file-name" }, image.name), h("br")] : null,
      [model.name, settings.method, document.owner].filter(Boolean).join(" · "),
      h("br"),
      formatTime(document.created_at),
    ),
    h(
      "p",
      { class: "row tight" },
      h("span", { class: `badge ${BADGES[status] ?? "note"}` }, status),
      done ? null : h("span", { class: "small" }, formatShare(progress.fraction)),
      doubts ? h("span", { class: "badge caution" }, plural(doubts, "doubt")) : null,
      notes ? h("span", { class: "badge note" }, plural(notes, "note")) : null,
    ),
  );
}
