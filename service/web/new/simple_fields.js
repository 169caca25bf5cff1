// Controls for one value: {controls, read, write}. read() gives undefined for the default.
import { h, newId } from "../lib/dom.js";

export function choiceField(options, { nullable, standard }) {
  const select = h(
    "select",
    {},
    nullable
      ? h(
          "option",
          { value: "" },
          standard === null || standard === undefined ? "default" : `default (${standard})`,
        )
      : null,
    options.map((each) => h("option", { value: JSON.stringify(each) }, String(each))),
  );
  if (!nullable && standard !== undefined) select.value = JSON.stringify(standard);
  return {
    controls: [select],
    read() {
      if (select.value === "") return undefined;
      const value = JSON.parse(select.value);
      return value === standard ? undefined : value;
    },
    write: (value) => (select.value = value === null ? "" : JSON.stringify(value)),
  };
}

export function checksField(options) {
  const boxes = options.map((value) => h("input", { type: "checkbox", value }));
  return {
    controls: [
      h(
        "div",
        { class: "checks" },
        boxes.map((box) =>
          h("label", { class: "check" }, box, ` ${box.value.replaceAll("_", " ")}`),
        ),
      ),
    ],
    read() {
      const chosen = boxes.filter(({ checked }) => checked).map(({ value }) => value);
      return chosen.length ? chosen : undefined;
    },
    write: (values) => boxes.forEach((box) => (box.checked = values.includes(box.value))),
  };
}

export function numberField(schema, standard) {
  const known = standard !== null && standard !== undefined;
  const input = h("input", {
    type: "number",
    inputmode: schema.type === "integer" ? "numeric" : "decimal",
    step: schema.type === "integer" ? 1 : "any",
    min: schema.minimum ?? schema.exclusiveMinimum,
    max: schema.maximum,
    placeholder: known ? `${standard}` : "default",
  });
  return {
    controls: [input],
    read: () => (input.value === "" ? undefined : Number(input.value)),
    write: (value) => (input.value = value ?? ""),
  };
}

// A number that was written is read as a number as long as it stands there.
export function textField(schema, standard) {
  let written;
  const list = newId("examples");
  const input = h("input", {
    type: "text",
    placeholder: standard ?? "default",
    list: schema.examples ? list : null,
    autocomplete: "off",
  });
  const examples = schema.examples
    ? h(
        "datalist",
        { id: list },
        schema.examples.map((value) => h("option", { value })),
      )
    : null;
  return {
    controls: [input],
    examples,
    read() {
      const text = input.value.trim();
      if (text === "") return undefined;
      return text === `${written}` ? written : text;
    },
    write(value) {
      written = value;
      input.value = value ?? "";
    },
  };
}

export function jsonField() {
  const area = h("textarea", { rows: 2, spellcheck: "false", placeholder: "{}" });
  return {
    controls: [area],
    read() {
      if (area.value.trim() === "") return undefined;
      try {
        return JSON.parse(area.value);
      } catch {
        return area.value; // the server says what is wrong with it
      }
    },
    write: (value) =>
      (area.value = value && Object.keys(value).length ? JSON.stringify(value) : ""),
  };
}
