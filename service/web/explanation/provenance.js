// What was asked for and what computed it: all that someone needs to check or repeat it.
import { h } from "../lib/dom.js";
import { copyButton } from "../lib/copy.js";
import { formatBytes, formatNumber, formatSeconds, formatTime } from "../lib/numbers.js";
import { signature } from "./record.js";

// record: the promise of `loadRecord`; null: it has no result, so no record.
export function provenance(document, record = null) {
  const { model, settings, image, label_map, runtime, timings, progress } = document;
  const section = h(
    "section",
    { class: "card provenance", "aria-label": "Provenance" },
    h("h2", {}, "Provenance"),
    list([
      ["Explanation", [code(document.id), " ", copyButton(document.id, "the id")]],
      ["Address of this page", address(`#/explanations/${document.id}`)],
      ["Address of its JSON", address(document.links.self)],
      [
        "Batch",
        document.batch && h("a", { href: `#/batches/${document.batch}` }, code(document.batch)),
      ],
      ["Owner", document.owner],
      [
        "Answered by",
        document.cached_from &&
          h("a", { href: `#/explanations/${document.cached_from}` }, code(document.cached_from)),
      ],
      ["What the values are", document.solution_concept],
      ["Evaluations", `${formatNumber(progress.evaluations)} of ${formatNumber(progress.planned)}`],
      ["Players", document.players === null ? null : formatNumber(document.players)],
      [
        "Efficiency gap",
        document.efficiency_gap === null ? null : formatNumber(document.efficiency_gap, 2),
      ],
      ["Unresolved", document.unresolved === null ? null : formatNumber(document.unresolved, 3)],
      ["Created", formatTime(document.created_at)],
      ["Finished", document.finished_at && formatTime(document.finished_at)],
      ["Kept until", document.expires_at && formatTime(document.expires_at)],
      ["Attempts", formatNumber(document.attempts)],
    ]),
    group("Model", modelFacts(model)),
    document.compared && group("Compared with", modelFacts(document.compared)),
    group(
      "Settings",
      Object.entries(settings).map(([name, value]) => [name.replaceAll("_", " "), written(value)]),
    ),
    group("Picture", [
      [
        "File",
        `${image.format}, ${image.width} × ${image.height} pixels, ${formatBytes(image.bytes)}`,
      ],
      ["sha256", h("a", { href: `#/explanations?picture=${image.sha256}` }, code(image.sha256))],
      [
        "Label map",
        label_map &&
          `${label_map.width} × ${label_map.height}, ${formatNumber(label_map.regions)} regions`,
      ],
    ]),
    runtime &&
      group("Runtime", [
        ["Backend", runtime.backend],
        ["Device", runtime.device],
        ["Type", runtime.dtype],
        ...Object.entries(runtime.versions),
      ]),
    timings &&
      group(
        "Timings",
        Object.entries(timings).map(([name, seconds]) => [
          name.replace(/_s$/, ""),
          formatSeconds(seconds),
        ]),
      ),
  );
  record?.then((known) => {
    if (!known.problem) section.querySelector("dl").append(row("Signature", signature(known)));
  });
  return section;
}

const group = (title, pairs) => h("details", {}, h("summary", {}, title), list(pairs));

const list = (pairs) =>
  h(
    "dl",
    {},
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => row(name, value)),
  );

const row = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

const code = (text) => h("code", {}, text);

// With keys, a browser that follows the link is asked for one: programs send it.
function address(path) {
  const { href } = new URL(path, window.document.baseURI);
  return [h("a", { href }, code(path)), " ", copyButton(href, "the address")];
}

function written(value) {
  if (value === null) return "default";
  if (typeof value === "string") return value.startsWith("sha256:") ? code(value) : value;
  return typeof value === "object" ? code(JSON.stringify(value)) : String(value);
}

function modelFacts({ name, fingerprint, parts }) {
  return [
    ["Name", name],
    ["Fingerprint", fingerprint && code(fingerprint)],
    ...Object.entries(parts ?? {}).map(([part, value]) => [
      part.replaceAll("_", " "),
      written(value),
    ]),
  ];
}
