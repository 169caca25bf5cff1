// A request as curl, Python and the command line write it.
import { h, replace } from "./dom.js";
import { copyButton } from "./copy.js";
import { signedIn } from "./session.js";

// read(): {settings, names: of the pictures, labelMap: its name or null}, asked when it is opened.
// Returns {element, update(): after what `read` gives has changed}.
export function requestCode(read) {
  const body = h("div", {});
  const element = h(
    "details",
    { class: "request-code", on: { toggle: update } },
    h("summary", {}, "The same from a program"),
    body,
  );

  function update() {
    if (!element.open) return;
    const asked = read();
    const texts = { curl: curl(asked), Python: python(asked), "Command line": shell(asked) };
    if (asked.settings.true_labels) delete texts["Command line"]; // it has none for each picture
    replace(
      body,
      Object.entries(texts).map(([title, text]) => [
        h("h3", {}, title),
        h("pre", { tabindex: "0", "aria-label": title }, text),
        copyButton(text, `the request as ${title}`),
      ]),
    );
  }
  return { element, update };
}

// Without what has no value, and is the default then.
export const withoutNulls = (value) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value)
          .filter(([, each]) => each !== null && !(typeof each === "object" && isEmpty(each)))
          .map(([name, each]) => [name, withoutNulls(each)]),
      )
    : value;

const isEmpty = (value) => Object.keys(value).length === 0;
const server = () => new URL(".", document.baseURI).href.replace(/\/$/, "");
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`; // for a shell
const fileOf = (field, name) =>
  quoted(`${field}=@"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`);

function curl({ settings, names, labelMap }) {
  const path = names.length > 1 ? "batches" : "explanations";
  return [
    `curl -s ${quoted(`${server()}/v1/${path}`)}`,
    names.length > 1 ? null : "-H 'Prefer: wait=60'",
    signedIn() ? '-H "Authorization: Bearer $SHAPSHOT_API_KEY"' : null,
    ...names.map((name) => `-F ${fileOf("image", name)}`),
    labelMap && `-F ${fileOf("label_map", labelMap)}`,
    `--form-string ${quoted(`settings=${JSON.stringify(settings)}`)}`,
  ]
    .filter(Boolean)
    .join(" \\\n  ");
}

function python({ settings, names, labelMap }) {
  const several = names.length > 1;
  const key = signedIn() ? ', api_key=os.environ["SHAPSHOT_API_KEY"]' : "";
  const pictures = several ? `[${names.map(literal).join(", ")}]` : literal(names[0]);
  const map = labelMap ? `, label_map=Path(${literal(labelMap)})` : "";
  return [
    signedIn() ? "import os" : null,
    labelMap ? "from pathlib import Path" : null,
    signedIn() || labelMap ? "" : null,
    "from shapshot import Client",
    "",
    `settings = ${literal(settings)}`,
    `with Client(${literal(server())}${key}) as client:`,
    ...(several
      ? [
          `    group = client.explain_all(${pictures}, settings${map})`,
          "for each in group.explanations:",
          "    print(each.name, each.top.label, each.id)",
        ]
      : [
          `    explanation = client.explain(${pictures}, settings${map})`,
          "print(explanation.outputs[0].label, explanation.id)",
        ]),
  ]
    .filter((line) => line !== null)
    .join("\n");
}

function shell({ settings, names, labelMap }) {
  return [
    `shapshot explain ${names.map(quoted).join(" ")}`,
    `--url ${quoted(server())}`,
    `--settings ${quoted(JSON.stringify(settings))}`,
    labelMap && `--label-map ${quoted(labelMap)}`,
  ]
    .filter(Boolean)
    .join(" \\\n  ");
}

// A JSON value as Python writes it; its strings are those of JSON.
function literal(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const entries = Object.entries(value).map(([name, each]) => `${literal(name)}: ${literal(each)}`);
  return `{${entries.join(", ")}}`;
}
