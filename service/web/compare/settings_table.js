// What the explanations have in common, and what differs, which bears on how to read them.
import { h } from "../lib/dom.js";
import { formatNumber, plural } from "../lib/numbers.js";

export function settingsTable(items) {
  const rows = new Map([
    ["picture", ({ image }) => image.name ?? ""],
    ["picture, sha256", ({ image }) => `${image.sha256.slice(0, 16)}…`],
    ["picture, pixels", ({ image }) => `${image.width} × ${image.height}`],
    ["seen of it", ({ crop }) => rectangle(crop)],
    ["placed in the model’s picture", ({ placement }) => rectangle(placement)],
    ["model’s fingerprint", ({ model }) => `${model.fingerprint?.slice(0, 23)}…`],
    ["evaluations", ({ progress }) => formatNumber(progress.evaluations)],
    ["players", ({ players }) => formatNumber(players)],
    ["regions", ({ region_count }) => formatNumber(region_count)],
    ["unresolved", ({ unresolved }) => formatNumber(unresolved)],
    ["efficiency gap", ({ efficiency_gap }) => formatNumber(efficiency_gap, 2)],
    ["warnings", ({ warnings }) => written([...new Set(warnings.map(({ code }) => code))])],
    ["backend", ({ runtime }) => [runtime.backend, runtime.device, runtime.dtype].join(", ")],
  ]);
  for (const name of new Set(items.flatMap(({ document }) => Object.keys(document.settings))))
    rows.set(name.replaceAll("_", " "), ({ settings }) => written(settings[name]));
  rows.set("true label", ({ true_label: truth }) => (truth ? truth.label || truth.index : "not known"));
  rows.delete("priority"); // of the queue: it bears on no number
  const read = [...rows].map(([name, value]) => [
    name,
    items.map(({ document }) => value(document)),
  ]);
  const differs = ([, values]) => new Set(values).size > 1;
  const [different, common] = [read.filter(differs), read.filter((each) => !differs(each))];
  return h(
    "section",
    { class: "card", "aria-label": "Settings" },
    h("h2", {}, "What differs"),
    different.length
      ? h(
          "div",
          { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "What differs" },
          h(
            "table",
            { class: "different" },
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                h("th", { scope: "col" }, "Setting"),
                items.map(({ letter }) => h("th", { scope: "col" }, letter)),
              ),
            ),
            h(
              "tbody",
              {},
              different.map(([name, values]) =>
                h(
                  "tr",
                  {},
                  h("th", { scope: "row" }, name),
                  values.map((value) => h("td", {}, value)),
                ),
              ),
            ),
          ),
        )
      : h("p", {}, "Nothing: all were asked and computed alike."),
    h(
      "details",
      {},
      h("summary", {}, `${plural(common.length, "setting")} in common`),
      h(
        "dl",
        {},
        common.map(([name, [value]]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
      ),
    ),
  );
}

const rectangle = ({ left, top, right, bottom }) =>
  `${right - left} × ${bottom - top} from ${left}, ${top}`;

function written(value) {
  if (value === null || value === undefined) return "default";
  if (Array.isArray(value)) return value.map(written).join(", ") || "none";
  if (typeof value !== "object") return String(value);
  return Object.entries(value)
    .filter(([, each]) => each !== null)
    .map(([name, each]) => (name === "kind" ? each : `${name} ${written(each)}`))
    .join(", ");
}
