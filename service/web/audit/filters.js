// The filters of the audit log. They are part of the address, so that what was found can be linked.
import { h, newId } from "../lib/dom.js";
import { ACTIONS } from "./words.js";

const TIMES = ["since", "before"];
const FILTERS = ["actor", "action", "explanation", ...TIMES];
const ID = "(exp|batch)_[0-9a-f]{32}";

export function parametersOf(query) {
  const entries = [...query].filter(([name, value]) => FILTERS.includes(name) && value);
  return new URLSearchParams(entries);
}

export function filterForm(query) {
  const field = (name, title, box, value = query.get(name)) => {
    box.id = newId(name);
    box.name = name;
    box.value = value ?? "";
    return h("div", { class: "control" }, h("label", { for: box.id }, title), box);
  };
  const text = (name, title, attributes) =>
    field(name, title, h("input", { type: "search", placeholder: "all", ...attributes }));
  const time = (name, title) =>
    field(
      name,
      title,
      h("input", { type: "datetime-local", step: "1" }),
      localTime(query.get(name)),
    );
  const action = h(
    "select",
    {},
    h("option", { value: "" }, "all"),
    Object.entries(ACTIONS).map(([value, title]) => h("option", { value }, title)),
  );
  const form = h(
    "form",
    { class: "filters audit-filters", "aria-label": "Filters", on: { submit: apply } },
    h(
      "div",
      { class: "filter-row" },
      text("actor", "Who", {
        pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}",
        title: "the name of a key",
        placeholder: "all keys",
        autocomplete: "off",
      }),
      field("action", "Action", action),
      text("explanation", "Explanation or batch", {
        pattern: ID,
        title: "the id of an explanation or a batch, such as exp_ and 32 hexadecimal digits",
        placeholder: "exp_… or batch_…",
        autocomplete: "off",
      }),
      time("since", "From"),
      time("before", "Before"),
      h("div", { class: "control" }, h("button", { class: "primary" }, "Filter")),
    ),
  );

  function apply(event) {
    event.preventDefault();
    const parameters = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      const given = value.trim();
      if (given) parameters.set(name, TIMES.includes(name) ? new Date(given).toISOString() : given);
    }
    const address = `#/audit?${parameters}`;
    if (location.hash === address) dispatchEvent(new HashChangeEvent("hashchange"));
    else location.hash = address;
  }
  return form;
}

// As a field of type datetime-local has it.
function localTime(iso) {
  const moment = new Date(iso ?? NaN);
  if (Number.isNaN(moment.getTime())) return "";
  return new Date(moment - 60_000 * moment.getTimezoneOffset()).toISOString().slice(0, 19);
}
