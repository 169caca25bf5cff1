// A form field for a property of a JSON Schema: {element, read, write, setError}.
//
// read() gives undefined where the field was left at the server's default. A property that nobody
// has thought of here still gets a field, by its type.
import { h, newId, replace } from "../lib/dom.js";
import { checksField, choiceField, jsonField, numberField, textField } from "./simple_fields.js";
import { KINDS, wordsFor } from "./words.js";

export function fieldOf(name, property, defs) {
  const { schema, nullable } = resolved(property, defs);
  const build = { outputs: outputsField, superpixels: unionField }[name];
  const { controls, examples, read, write, ...others } = (build ?? control)(name, schema, {
    nullable,
    property,
    defs,
  });
  const [words, help] = wordsFor(name, property);
  const [errorId, helpId] = [newId("error"), newId("help")];
  const problem = h("p", { class: "field-error", id: errorId });
  const group = controls.length > 1 || controls[0].matches("fieldset, div");
  const inputs = () =>
    controls.flatMap((each) =>
      each.matches("input, select, textarea")
        ? [each]
        : [...each.querySelectorAll("input, select, textarea")],
    );
  const label = group
    ? h("legend", {}, words)
    : h("label", { for: (controls[0].id = newId(name)) }, words);
  const element = h(
    group ? "fieldset" : "div",
    { class: "field", "data-field": name },
    label,
    controls,
    examples,
    h("p", { class: "help", id: helpId }, help),
    problem,
  );
  for (const input of inputs()) input.setAttribute("aria-describedby", `${helpId} ${errorId}`);
  return {
    element,
    read,
    write,
    ...others,
    setError(text) {
      problem.textContent = text;
      for (const input of inputs()) {
        if (text) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
      }
    },
  };
}

// Without references, and whether null is allowed.
function resolved(property, defs) {
  if (property.$ref) return resolved(defs[property.$ref.split("/").at(-1)], defs);
  if (!property.anyOf) return { schema: property, nullable: false };
  const others = property.anyOf.filter(({ type }) => type !== "null");
  return { ...resolved(others[0], defs), nullable: others.length < property.anyOf.length };
}

function control(name, schema, { nullable, property }) {
  const standard = property.default;
  if (schema.enum) return choiceField(schema.enum, { nullable, standard });
  if (schema.type === "array" && schema.items?.enum) return checksField(schema.items.enum);
  if (schema.type === "integer" || schema.type === "number") return numberField(schema, standard);
  if (schema.type === "object" || schema.type === "array") return jsonField();
  return textField(schema, standard);
}

// A choice among objects told apart by `kind`, each with fields of its own.
function unionField(name, schema, { property, defs }) {
  const kinds = Object.entries(schema.discriminator.mapping).map(([kind, ref]) => [
    kind,
    resolved({ $ref: ref }, defs).schema,
  ]);
  const standard = property.default;
  const select = h(
    "select",
    { "aria-label": "Kind", on: { change: () => build({}) } },
    h(
      "option",
      { value: "" },
      standard ? `default (${KINDS[standard.kind] ?? standard.kind})` : "default",
    ),
    kinds.map(([kind]) => h("option", { value: kind }, KINDS[kind] ?? kind)),
  );
  const inner = h("div", { class: "inner" });
  let fields = [];
  let file = null;

  function build(values) {
    const chosen = kinds.find(([kind]) => kind === select.value);
    const properties = Object.entries(chosen?.[1].properties ?? {}).filter(
      ([each]) => each !== "kind",
    );
    fields = properties.map(([each, schemaOfIt]) => [each, fieldOf(each, schemaOfIt, defs)]);
    for (const [each, field] of fields) if (each in values) field.write(values[each]);
    file =
      select.value === "labels"
        ? h("input", { type: "file", accept: ".png,.npy", "aria-label": "Label map (PNG or npy)" })
        : null;
    replace(
      inner,
      fields.map(([, field]) => field.element),
      file,
    );
  }

  return {
    controls: [h("div", {}, select, inner)],
    read() {
      if (select.value === "") return undefined;
      const value = { kind: select.value };
      for (const [each, field] of fields)
        if (field.read() !== undefined) value[each] = field.read();
      return value;
    },
    write(value) {
      select.value = value?.kind ?? "";
      build(value ?? {});
    },
    labelMap: () => file?.files[0] ?? null,
  };
}

// The top k, or outputs by label or index.
function outputsField() {
  const how = h(
    "select",
    { "aria-label": "How outputs are chosen", on: { change: build } },
    h("option", { value: "top" }, "those of highest score"),
    h("option", { value: "labels" }, "by label, one a line"),
    h("option", { value: "indices" }, "by index, with commas"),
  );
  const inner = h("div", { class: "inner" });
  let input;

  function build() {
    input = {
      top: () =>
        h("input", {
          type: "number",
          min: 1,
          step: 1,
          placeholder: "4, or all of fewer",
          "aria-label": "How many",
        }),
      labels: () => h("textarea", { rows: 2, "aria-label": "Labels", spellcheck: "false" }),
      indices: () =>
        h("input", {
          type: "text",
          "aria-label": "Indices",
          inputmode: "numeric",
          placeholder: "0, 7",
        }),
    }[how.value]();
    replace(inner, input);
  }
  build();

  return {
    controls: [h("div", {}, how, inner)],
    read() {
      const text = input.value.trim();
      if (text === "") return undefined;
      if (how.value === "top") return { top: Number(text) };
      if (how.value === "labels")
        return {
          labels: text
            .split("\n")
            .map((each) => each.trim())
            .filter(Boolean),
        };
      return {
        indices: text
          .split(/[\s,]+/)
          .filter(Boolean)
          .map(Number),
      };
    },
    write(value) {
      const [name, chosen] = Object.entries(value ?? {}).find(([, each]) => each !== null) ?? [
        "top",
        "",
      ];
      how.value = name;
      build();
      input.value = Array.isArray(chosen) ? chosen.join(name === "labels" ? "\n" : ", ") : chosen;
    },
  };
}
