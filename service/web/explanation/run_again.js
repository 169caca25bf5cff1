// Runs an explanation again, and says how the second run differs from the first.
import { h, replace } from "../lib/dom.js";
import { getJson, postJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { formatNumber, plural } from "../lib/numbers.js";
import { randomKey } from "../lib/random_key.js";
import { scopes } from "../lib/session.js";

const VERDICTS = {
  same: ["fine", "The same", "The model of today gives the same scores and values, to the last bit."],
  within_tolerance: [
    "fine",
    "The same but for rounding",
    "No score and no value differs by more than its tolerance.",
  ],
  differs: [
    "caution",
    "It differs",
    "The model is the same, but outputs, coalitions, scores or values are not. Below is by how much.",
  ],
  other_model: [
    "caution",
    "Another model",
    "The model of this name is not the one of the first run. Below is what changed, and by how much.",
  ],
};

// The button, or which scope it takes.
export function runAgain(id, signal) {
  const problem = h("span", { class: "field-error", role: "alert" });
  const button = h("button", { type: "button", on: { click: run } }, "Run it again and compare");

  async function run() {
    button.disabled = true;
    problem.textContent = "";
    try {
      const headers = { "Idempotency-Key": randomKey() };
      const second = await postJson(`v1/explanations/${id}/reproduce`, { headers, signal });
      location.hash = `#/explanations/${second.id}`;
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
    button.disabled = false;
  }

  const content = h("span", {}, button, problem);
  scopes().then((may) => {
    if (may && !may.includes("explain")) {
      replace(content, h("span", { class: "muted" }, "Running it again takes a key of the scope explain."));
    }
  });
  return content;
}

// What came of a second run: the comparison with the first.
export function secondRun({ id, reproduces: first }, signal) {
  const content = h("div", {}, h("p", { class: "muted" }, "Comparing the two runs…"));
  getJson(`v1/explanations/${id}/reproduction`, { signal })
    .then((found) => replace(content, compared(found)))
    .catch((error) => {
      if (!signal.aborted) replace(content, h("p", { class: "field-error" }, shortFailure(error)));
    });
  return h(
    "section",
    { class: "card second-run", "aria-label": "Second run" },
    h("h2", {}, "Second run"),
    h(
      "p",
      {},
      "This runs ",
      h("a", { href: `#/explanations/${first}` }, "an earlier explanation"),
      " again, on the model of today. ",
      h("a", { href: `#/compare?ids=${first},${id}` }, "Both side by side"),
    ),
    content,
  );
}

function compared({ verdict, scores, values, coalitions, same_pixels: same, model, runtime, ...outputs }) {
  const [tone, title, says] = VERDICTS[verdict];
  return [
    h("p", {}, h("strong", { class: `badge ${tone}` }, title), ` ${says}`),
    h(
      "details",
      { open: tone !== "fine" },
      h("summary", {}, "What was compared"),
      h(
        "dl",
        {},
        row("Largest difference of a score", difference(scores)),
        row("Largest difference of a value", difference(values)),
        row("Coalitions", coalitionsOf(coalitions)),
        row("Outputs", outputsOf(outputs)),
        row("Picture", same ? "decoded to the same pixels" : "decoded to other pixels"),
        changes("Model", model),
        changes("Runtime", runtime),
      ),
    ),
  ];
}

const difference = ({ largest, tolerance, within }) =>
  largest === null
    ? "nothing can be compared"
    : `${largest ? `${formatNumber(largest)} times the largest score` : "none"}; ${within ? "within" : "more than"} the tolerance of ${formatNumber(tolerance)}`;

function coalitionsOf({ before, now, first_difference: first }) {
  if (first === null) return `the same ${formatNumber(before)}`;
  return `${formatNumber(before)} before, ${formatNumber(now)} now; number ${formatNumber(first + 1)} is the first that differs`;
}

function outputsOf({ outputs_before: before, outputs_now: now }) {
  if (before.join() === now.join()) return `the same ${plural(now.length, "output")}`;
  return `${before.join(", ")} before; ${now.join(", ")} now`;
}

const changes = (name, changed) =>
  row(
    name,
    changed.length
      ? changed.map(({ name: part, before, now }) =>
          h("div", {}, `${part.replaceAll("_", " ")}: ${written(before)} before, ${written(now)} now`),
        )
      : "the same",
  );

const written = (value) =>
  typeof value === "string" ? value : value === null ? "none" : JSON.stringify(value);

const row = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
