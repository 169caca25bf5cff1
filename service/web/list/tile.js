// An explanation, in the list or in a batch: a small picture, its top class, and what it was made by.
import { h } from "../lib/dom.js";
import { formatNumber, formatShare, plural } from "../lib/numbers.js";
import { timeAgo } from "../lib/time.js";
import { NOTES } from "../lib/warning_texts.js";
import { nameOf } from "./selection.js";

const VERDICTS = { true: ["fine", "✓ right"], false: ["caution", "✗ wrong"] }; // by `correct`
const SAID = { accept: "accepted", reject: "rejected", override: "overridden" }; // by reviewers
const LOOKS = { accept: "fine", reject: "caution", override: "caution" };
const BADGES = { succeeded: "fine", failed: "caution" };

// document: of an explanation, or as much of it as a batch has. picture: the place of its picture.
// chosen: whether it is selected; undefined where it cannot be. onChoose(document, chosen): called
// when it is selected, or no more.
export function tile(document, { picture, chosen, onChoose }) {
  const { id, status, done, outputs, model, settings, image, warnings, error, progress } = document;
  const { correct, true_label: truth } = document;
  const { review, hold } = document;
  const [look, verdict] = VERDICTS[correct] ?? [];
  const top = outputs?.[0];
  const codes = [...new Set((warnings ?? []).map(({ code }) => code))]; // some are of each output
  const [notes, doubts] = [true, false].map((note) =>
    codes.filter((code) => NOTES.includes(code) === note),
  );
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
    chosen === undefined ? null : choice(document, chosen, onChoose),
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
      [
        image.name && h("span", { class: "file-name" }, image.name),
        model && [modelsOf(document), settings.method, document.owner].filter(Boolean).join(" · "),
        document.created_at && timeAgo(document.created_at),
        error?.detail,
      ]
        .filter(Boolean)
        .flatMap((line) => [line, h("br")]),
    ),
    h(
      "p",
      { class: "row tight" },
      h("span", { class: `badge ${BADGES[status] ?? "note"}` }, status),
      done ? null : h("span", { class: "small" }, formatShare(progress.fraction)),
      badge("caution", "doubt", doubts),
      badge("note", "note", notes),
      review ? h("span", { class: `badge ${LOOKS[review.verdict]}` }, SAID[review.verdict]) : null,
      hold ? h("span", { class: "badge note", title: hold.reason }, "held") : null,
    ),
  );
}

function choice(document, chosen, onChoose) {
  const box = h("input", {
    type: "checkbox",
    "data-id": document.id,
    "aria-label": `Select ${nameOf(document)}`,
    on: { change: () => onChoose(document, box.checked) },
  });
  box.checked = chosen;
  return h("label", { class: "tile-choose" }, box);
}

const badge = (look, word, codes) =>
  codes.length
    ? h(
        "span",
        { class: `badge ${look}`, title: codes.join(", ").replaceAll("_", " ") },
        plural(codes.length, word),
      )
    : null;

const modelsOf = ({ model, compared }) =>
  compared ? `${model.name} against ${compared.name}` : model.name;
