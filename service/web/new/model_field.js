// Which model; and whether it has to be this very one.
import { h, newId } from "../lib/dom.js";

export function modelField(models, wanted) {
  const [id, pinId, errorId] = [newId("model"), newId("pin"), newId("model-error")];
  const wantedName = typeof wanted === "object" && wanted ? wanted.name : wanted;
  const select = h(
    "select",
    { id, name: "model", "aria-describedby": errorId, on: { change: tell } },
    models.map(({ name, status }) =>
      h(
        "option",
        { value: name, disabled: status === "unavailable" },
        status === "available" ? name : `${name} (${status})`,
      ),
    ),
  );
  const standard = models.find((each) => each.default) ?? models[0];
  select.value = models.some(({ name }) => name === wantedName)
    ? wantedName
    : (standard?.name ?? "");
  const pin = h("input", {
    type: "checkbox",
    id: pinId,
    checked: typeof wanted === "object" && wanted !== null,
  });
  const about = h("p", { class: "help" });
  const problem = h("p", { class: "field-error", id: errorId });
  const chosen = () => models.find(({ name }) => name === select.value);

  function tell() {
    const card = chosen();
    about.textContent = card
      ? (card.description ?? card.reason ?? "")
      : "The server knows no model: no worker runs.";
    pin.disabled = !card?.fingerprint;
  }
  tell();

  return {
    element: h(
      "div",
      { class: "field", "data-field": "model" },
      h("label", { for: id }, "Model"),
      select,
      about,
      h(
        "label",
        { for: pinId, class: "check" },
        pin,
        " Refuse any other model of this name (pins its fingerprint)",
      ),
      problem,
    ),
    read: () =>
      pin.checked && !pin.disabled
        ? { name: select.value, fingerprint: chosen().fingerprint }
        : select.value,
    setError(text) {
      problem.textContent = text;
      select.toggleAttribute("aria-invalid", Boolean(text));
    },
  };
}
