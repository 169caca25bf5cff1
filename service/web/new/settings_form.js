// The settings of the chosen method, built from its JSON Schema (`GET /v1/methods`).
import { h, newId, replace } from "../lib/dom.js";
import { compareField } from "./compare_field.js";
import { fieldOf } from "./fields.js";
import { modelField } from "./model_field.js";

const ELSEWHERE = ["model", "compare_with", "method", "true_label"]; // these have fields of their own
// What most people look at; everything else is under "More settings".
const FIRST = ["outputs", "superpixels", "max_evals", "masker", "fit", "metrics"];

// wanted: settings to begin with. read(): those that differ from the server's defaults.
export function settingsForm(methods, models, wanted) {
  let fields = new Map();
  const model = modelField(models, wanted.model);
  const compared = compareField(models, model, wanted.compare_with);
  const [methodId, concept] = [newId("method"), h("p", { class: "help" })];
  const method = h(
    "select",
    { id: methodId, name: "method", on: { change: () => build(read()) } },
    methods.map(({ name, title }) => h("option", { value: name }, title)),
  );
  method.value = methods.some(({ name }) => name === wanted.method)
    ? wanted.method
    : methods[0].name;
  const [basic, more] = [h("div", { class: "fields" }), h("div", { class: "fields" })];
  const rest = h("details", {}, h("summary", {}, "More settings"), more);
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "fields" },
      model.element,
      compared.element,
      h(
        "div",
        { class: "field", "data-field": "method" },
        h("label", { for: methodId }, "Method"),
        method,
        concept,
      ),
    ),
    basic,
    rest,
  );

  const card = () => methods.find(({ name }) => name === method.value);

  function build(values) {
    const { settings_schema: schema, solution_concept } = card();
    concept.textContent = solution_concept;
    fields = new Map();
    for (const [name, property] of Object.entries(schema.properties)) {
      if (ELSEWHERE.includes(name)) continue;
      const field = fieldOf(name, property, schema.$defs ?? {});
      if (name in values) field.write(values[name]);
      fields.set(name, field);
    }
    const shown = FIRST.filter((name) => fields.has(name));
    replace(
      basic,
      shown.map((name) => fields.get(name).element),
    );
    replace(
      more,
      [...fields].filter(([name]) => !FIRST.includes(name)).map(([, field]) => field.element),
    );
  }

  function read() {
    const settings = {};
    if (model.read()) settings.model = model.read();
    if (compared.read()) settings.compare_with = compared.read();
    settings.method = method.value;
    for (const [name, field] of fields) {
      const value = field.read();
      if (value !== undefined) settings[name] = value;
    }
    return settings;
  }

  build(wanted);
  return {
    element,
    read,
    labelMap: () => fields.get("superpixels")?.labelMap?.() ?? null,
    clearErrors() {
      model.setError("");
      compared.setError("");
      for (const field of fields.values()) field.setError("");
    },
    // path: of a problem, such as settings.max_evals or label_map. Returns whether it has a field.
    setError(path, text) {
      const name =
        path === "label_map" ? "superpixels" : path.replace(/^settings\./, "").split(".")[0];
      const field = { model, compare_with: compared }[name] ?? fields.get(name);
      if (!field) return false;
      if (more.contains(field.element)) rest.open = true;
      field.setError(text);
      field.element.querySelector("input, select, textarea")?.focus();
      return true;
    },
  };
}
