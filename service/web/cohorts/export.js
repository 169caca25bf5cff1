// The numbers of a cohort as files.
import { saveBlob } from "../lib/save.js";
import { confusions, countsOf, perPredictedClass, perTrueClass } from "./cases.js";
import { CELLS } from "./credit.js";
import { creditGroups } from "./credit_view.js";

const PARTS = ["centre", "topLeft", "topRight", "bottomLeft", "bottomRight", "half"];
const FILE = "shapshot-cohort";

export function saveCsv(cases) {
  const metrics = [...new Set(cases.flatMap((each) => each.faithfulness.map(({ metric }) => metric)))];
  const columns = {
    id: ({ id }) => id,
    file: ({ name }) => name,
    model: ({ document }) => document.model.name,
    verdict: ({ verdict }) => verdict,
    true_index: ({ truth }) => truth?.index,
    true_label: ({ truth }) => truth?.label,
    true_score: ({ trueScore }) => trueScore,
    predicted_index: ({ predicted }) => predicted.index,
    predicted_label: ({ predicted }) => predicted.label,
    predicted_score: ({ predicted }) => predicted.score,
    doubts: ({ doubts }) => doubts.join(" "),
    ...Object.fromEntries(
      PARTS.map((part) => [`credit_${snake(part)}`, ({ credit }) => credit?.[part]]),
    ),
  };
  for (const metric of metrics) {
    const of = (name) => (each) => each.faithfulness.find((one) => one.metric === metric)?.[name];
    columns[`${metric}_area`] = of("area");
    columns[`${metric}_random_area`] = of("baseline_area");
  }
  const rows = cases.map((each) => Object.values(columns).map((of) => quoted(of(each))));
  const text = [Object.keys(columns), ...rows].map((row) => `${row.join(",")}\r\n`).join("");
  saveBlob(new Blob([text], { type: "text/csv" }), `${FILE}.csv`);
}

export function saveJson(cases, nameOf, filters) {
  const document = {
    filters: [...filters],
    counts: countsOf(cases),
    true_classes: perTrueClass(cases, nameOf),
    predicted_classes: perPredictedClass(cases, nameOf),
    confusions: confusions(cases, nameOf),
    grid: { cells: CELLS, of: "the placement of the photo in the model's picture, row by row" },
    credit: creditGroups(cases, nameOf).map(({ title, groups }) => ({
      class: title,
      ...Object.fromEntries(
        Object.entries(groups).map(([verdict, { cases: count, mean }]) => [
          verdict,
          { cases: count, ...written(mean) },
        ]),
      ),
    })),
    cases: cases.map(({ document: { model, settings }, faithfulness, credit, ...each }) => ({
      id: each.id,
      file: each.name,
      model,
      method: settings.method,
      verdict: each.verdict,
      true_class: each.truth,
      true_score: each.trueScore,
      predicted: each.predicted,
      doubts: each.doubts,
      faithfulness,
      credit: credit && written(credit),
    })),
  };
  const text = JSON.stringify(document, null, 1);
  saveBlob(new Blob([text], { type: "application/json" }), `${FILE}.json`);
}

const written = ({ cells, ...parts }) => ({
  ...Object.fromEntries(Object.entries(parts).map(([name, value]) => [snake(name), value])),
  cells: [...cells],
});

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

// A field of CSV (RFC 4180). A text that a spreadsheet would take for a formula gets a quote mark.
function quoted(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
