// A second model to compare with: those that take the same channels as the chosen one.
import { h, newId, replace } from "../lib/dom.js";

// model: the field of the model; wanted: a name, or a name and a fingerprint.
export function compareField(models, model, wanted) {
  const [id, errorId] = [newId("compare"), newId("compare-error")];
  const problem = h("p", { class: "field-error", id: errorId });
  const help = h("p", { class: "help" });
  const on = { change: tell };
  const select = h("select", { id, name: "compare_with", "aria-describedby": errorId, on });
  let kept = typeof wanted === "object" && wanted ? wanted.name : (wanted ?? "");

  const element = h(
    "div",
    { class: "field", "data-field": "compare_with" },
    h("label", { for: id }, "Compare with"),
    select,
    help,
    problem,
  );

  function offer() {
    const first = models.find(({ name }) => name === nameOf(model.read()));
    const fitting = models.filter(
      ({ name, input_shape }) =>
        name !== first?.name &&
        (!input_shape || !first?.input_shape || input_shape[2] === first.input_shape[2]),
    );
    const alike = ({ parts }) => parts?.labels === first?.parts?.labels;
    fitting.sort((one, other) => alike(other) - alike(one));
    const options = fitting.map((card) =>
      h(
        "option",
        { value: card.name, disabled: card.status === "unavailable" },
        alike(card) ? card.name : `${card.name} (other labels)`,
      ),
    );
    replace(select, h("option", { value: "" }, "no other model"), options);
    select.value = fitting.some(({ name }) => name === kept) ? kept : "";
    element.hidden = fitting.length === 0;
    tell();
  }

  function tell() {
    kept = select.value;
    help.textContent = kept
      ? "Both are asked about the same masked pictures, twice the evaluations; their difference is explained, too."
      : "";
  }

  model.element.addEventListener("change", offer);
  offer();
  return {
    element,
    read: () => select.value || undefined,
    setError(text) {
      problem.textContent = text;
      select.toggleAttribute("aria-invalid", Boolean(text));
    },
  };
}

const nameOf = (model) => model?.name ?? model;
