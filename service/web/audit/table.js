// Entries of the audit log as a table, each with a link to what it is about.
import { h } from "../lib/dom.js";
import { ACTIONS } from "./words.js";

const BATCH = /^batch_[0-9a-f]{32}$/; // the detail of what was asked in one
const HEADS = ["Time", "Who", "What", "Explanation", "Outcome"];

// unsigned: those that no segment has yet.
export const entryTable = (entries, unsigned) =>
  h(
    "div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Entries" },
    h(
      "table",
      { class: "audit-log" },
      h("thead", {}, h("tr", {}, HEADS.map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, entries.map((each) => row(each, unsigned.has(each)))),
    ),
  );

const row = (entry, isUnsigned) => {
  const { id, at, actor, address, action, what, detail, explanation, owner, outcome, request_id } = entry;
  return h(
    "tr",
    { "data-entry": id },
    h("td", {}, h("time", { datetime: at, title: `${at}, entry ${id}` }, exactTime(at))),
    h("td", {}, actor ?? h("span", { class: "muted" }, nobody(action)), small(address)),
    h(
      "td",
      {},
      ACTIONS[action] ?? action,
      what ? [" ", h("span", { class: "what" }, what.replaceAll("_", " "))] : null,
      small(detail && (BATCH.test(detail) ? batchLink(detail) : detail)),
    ),
    h("td", {}, explanation ? subject(explanation) : "–", small(owner && `of ${owner}`)),
    h(
      "td",
      { title: request_id && `request ${request_id}` },
      h("span", { class: `badge ${outcome === "done" ? "fine" : "caution"}` }, outcome),
      small(isUnsigned && "not signed yet"),
    ),
  );
};

const small = (text) => (text ? h("div", { class: "muted small" }, text) : null);

// The service itself starts, and lets expire; otherwise no key was sent, or none is needed.
const nobody = (action) =>
  ["started", "expired", "keys_changed", "unreadable"].includes(action) ? "the service" : "no key";

const batchLink = (id) => [
  "in the batch ",
  h("a", { href: `#/batches/${id}`, title: id }, h("code", {}, shortened(id))),
];

const shortened = (id) => `${id.slice(0, id.indexOf("_") + 9)}…`;

function subject(id) {
  const path = id.startsWith("batch_") ? "batches" : "explanations";
  const only = `#/audit?${new URLSearchParams({ explanation: id })}`;
  return [
    h("a", { href: `#/${path}/${id}`, title: id }, h("code", {}, shortened(id))),
    " ",
    h("a", { class: "small", href: only, "aria-label": `Only entries about ${id}` }, "only these"),
  ];
}

const exactTime = (iso) =>
  new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
