// The filters of the list. They are part of the address, so that a filtered list can be linked.
import { h, newId } from "../lib/dom.js";
import { WARNINGS } from "../lib/warning_texts.js";

// The parameters of `GET /v1/explanations` that an address may have.
const FIRST = ["status", "model", "method", "label", "correct", "warning", "name"];
const FURTHER = [
  ...["true_label", "created_after", "created_before", "metadata", "owner", "batch", "picture"],
  ...["masker", "fingerprint", "review", "held"],
];
export const FILTERS = [...FIRST, ...FURTHER];
const PARAMETERS = [...FILTERS, "order", "cursor"];

const STATUSES = ["queued", "running", "canceling", "succeeded", "failed", "canceled"];
const CORRECT = { true: "right", false: "wrong", null: "not known" };
const REVIEWS = {
  accept: "accepted",
  reject: "rejected",
  override: "overridden",
  none: "not reviewed",
};
const DATES = ["created_after", "created_before"];
const MOST_METADATA = 8; // entries

export function parametersOf(query) {
  const entries = [...query].filter(([name, value]) => PARAMETERS.includes(name) && value);
  return new URLSearchParams(entries);
}

// path: of the screen that shows what they select.
export const addressOf = (parameters, path = "/explanations") =>
  parameters.size ? `#${path}?${parameters}` : `#${path}`;

// models, methods: their names. owners: names that the list has shown. onChange(name): which field
// changed, before the address does.
export function filterForm(query, { path, models, methods, owners, onChange }) {
  const field = (name, title, box, value = query.get(name)) => {
    box.id = newId(name);
    box.name = name;
    box.value = value ?? "";
    return h("div", { class: "control" }, h("label", { for: box.id }, title), box);
  };
  const spaced = (code) => code.replaceAll("_", " ");
  const choice = (name, title, options, { first = "all", shown = spaced } = {}) => {
    const all = [...new Set([...options, query.get(name)].filter(Boolean))];
    const select = h(
      "select",
      {},
      h("option", { value: "" }, first),
      all.map((each) => h("option", { value: each }, shown(each))),
    );
    return field(name, title, select);
  };
  const text = (name, title, attributes, value) =>
    field(name, title, h("input", { type: "search", placeholder: "all", ...attributes }), value);
  const date = (name, title) =>
    field(name, title, h("input", { type: "datetime-local" }), localTime(query.get(name)));

  const names = h(
    "datalist",
    { id: newId("owners") },
    owners.map((value) => h("option", { value })),
  );
  const entries = query.getAll("metadata").slice(0, MOST_METADATA);
  if (entries.length < MOST_METADATA) entries.push("");
  const further = [
    text("true_label", "True class", {}),
    date("created_after", "Created from"),
    date("created_before", "Created before"),
    entries.map((value, n) =>
      text(
        "metadata",
        n ? `Metadata (${n + 1})` : "Metadata",
        { placeholder: "key=value", pattern: "[^=]{1,64}=[\\s\\S]{0,256}", title: "key=value" },
        value,
      ),
    ),
    owners.length > 1 || query.get("owner")
      ? [text("owner", "Owner", { list: names.id, autocomplete: "off" }), names]
      : null,
    text("batch", "Batch", { pattern: "batch_[0-9a-f]{32}", title: "the id of a batch" }),
    text("picture", "Picture", {
      pattern: "[0-9a-f]{64}",
      title: "the SHA-256 of the file, 64 hexadecimal digits",
      placeholder: "SHA-256",
    }),
    text("masker", "Masker", {}),
    text("fingerprint", "Fingerprint", {
      pattern: "sha256:[0-9a-f]{64}",
      title: "sha256: and 64 hexadecimal digits",
    }),
    choice("review", "Review", Object.keys(REVIEWS), { shown: (each) => REVIEWS[each] ?? each }),
    choice("held", "Held", ["true"], { shown: () => "only held ones" }),
    choice("order", "Order", ["oldest"], { first: "newest" }),
  ];
  const set = [...FURTHER, "order"].filter((name) => query.get(name)).length;
  const form = h(
    "form",
    {
      class: "filters",
      "aria-label": "Filters",
      on: { change: apply, submit: (event) => event.preventDefault() },
    },
    h(
      "div",
      { class: "filter-row" },
      choice("status", "Status", STATUSES),
      choice("model", "Model", models, { shown: (name) => name }),
      choice("method", "Method", methods),
      text("label", "Top class", {}),
      choice("correct", "Prediction", Object.keys(CORRECT), {
        shown: (each) => CORRECT[each] ?? each,
      }),
      choice("warning", "Warning", Object.keys(WARNINGS)),
      text("name", "File name", {
        pattern: ".*[\\p{L}\\p{N}].*",
        title: "whole words of the file name",
        placeholder: "words of it",
      }),
    ),
    h(
      "details",
      { open: set > 0 },
      h("summary", {}, set ? `More filters (${set} set)` : "More filters"),
      h("div", { class: "filter-row" }, further),
    ),
  );

  function apply({ target }) {
    if (!form.reportValidity()) return;
    const parameters = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      const given = value.trim();
      if (given)
        parameters.append(name, DATES.includes(name) ? new Date(given).toISOString() : given);
    }
    onChange(target.name);
    location.hash = addressOf(parameters, path);
  }
  return form;
}

// As a field of type datetime-local has it.
function localTime(iso) {
  const moment = new Date(iso ?? NaN);
  if (Number.isNaN(moment.getTime())) return "";
  return new Date(moment - 60_000 * moment.getTimezoneOffset()).toISOString().slice(0, 16);
}
