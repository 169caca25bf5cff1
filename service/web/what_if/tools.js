// Choices of many regions at once, by their values for the chosen output, and steps back.
import { h, newId, replace } from "../lib/dom.js";
import { formatNumber } from "../lib/numbers.js";
import { byValue, complement } from "./coalitions.js";

// choose(hidden): makes a set of hidden regions the present one. undo(): goes one choice back.
export function tools(document, { regions }, view, { choose, undo }) {
  const { count } = regions;
  const id = newId("how-many");
  const number = h("input", {
    id,
    type: "number",
    inputmode: "numeric",
    min: 1,
    max: Math.max(count - 1, 1),
    step: 1,
    value: Math.min(3, Math.max(count - 1, 1)),
    on: { input: name },
  });
  const n = () => Math.min(Math.max(Math.round(Number(number.value)) || 1, 1), count);
  const order = () => byValue(regions, view.value.output);
  const button = (click, text = null) => h("button", { type: "button", on: { click } }, text);
  const back = button(undo, "Undo");
  const all = button(() => choose(new Set()), "Show all");
  const nothing = button(() => choose(complement(new Set(), count)), "Hide all");
  const inverted = button(() => choose(complement(view.value.hidden, count)), "Invert");
  const largest = button(() => choose(new Set(order().slice(0, n()))));
  const smallest = button(() => choose(new Set(order().slice(-n()))));
  const others = button(() => choose(new Set(order().slice(n()))));

  function name() {
    const some = n() === 1 ? "" : `${formatNumber(n())} `;
    replace(largest, `Hide the ${some}largest`);
    replace(smallest, `Hide the ${some}smallest`);
    replace(others, `Hide all but the ${some}largest`);
  }
  name();
  const by = h("p", { class: "help" });
  view.watch((now, changed) => {
    // not `disabled`, which would take the focus away from the button that was just used
    back.setAttribute("aria-disabled", String(now.past.length === 0));
    all.setAttribute("aria-disabled", String(now.hidden.size === 0));
    nothing.setAttribute("aria-disabled", String(now.hidden.size === count));
    if (changed.includes("output"))
      by.textContent = `Largest: the values that speak most for “${document.outputs[now.output].label}”; smallest: most against it.`;
  });
  return h(
    "section",
    { class: "card what-if-tools", "aria-label": "Choose regions" },
    h("div", { class: "row tight" }, back, all, nothing, inverted),
    h(
      "div",
      { class: "row tight" },
      h("label", { for: id }, "How many"),
      number,
      largest,
      smallest,
      others,
    ),
    by,
  );
}
