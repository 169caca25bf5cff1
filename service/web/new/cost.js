// What an explanation will cost: evaluations, and seconds where earlier ones tell a rate.
import { h } from "../lib/dom.js";
import { getJson } from "../lib/api.js";
import { formatNumber, formatSeconds } from "../lib/numbers.js";

const POINTS = 102; // of a curve, at most
const LEAST_OF_PERMUTATIONS = 500; // evaluations, as service/api/submission/evaluation_budget.py has it

export function costLine(methods, models, signal) {
  const element = h("p", { class: "cost", "aria-live": "polite" });
  const rates = new Map(); // by model: a promise of its recent explanations
  let latest = 0;

  async function show(settings, pictures) {
    const turn = (latest += 1);
    const model = models.find(({ name }) => name === (settings.model?.name ?? settings.model));
    const method = methods.find(({ name }) => name === settings.method);
    const { evaluations, about } = evaluationsOf(settings, method, model);
    const asked = settings.compare_with ? 2 : 1; // models
    const curves = curveEvaluations(settings, model);
    const times = asked * Math.max(pictures, 1);
    const said = [
      evaluations === null
        ? "The evaluations depend on the regions"
        : `${about ? "About " : ""}${formatNumber(times * evaluations)} evaluations`,
    ];
    if (curves) said.push(`up to ${formatNumber(times * curves)} more for curves`);
    if (asked > 1) said.push("of both models together");
    if (pictures > 1) said.push(`for ${pictures} pictures`);
    element.textContent = `${said.join(", ")}.`;
    if (!model || evaluations === null) return;
    if (!rates.has(model.name)) rates.set(model.name, recent(model.name, signal));
    const rate = rateOf(await rates.get(model.name), settings);
    if (turn !== latest || rate === null) return;
    element.textContent += ` Once it begins, about ${formatSeconds((times * (evaluations + curves)) / rate)} at the rate of earlier ones.`;
  }
  return { element, show };
}

function evaluationsOf(settings, method, model) {
  const { properties } = method.settings_schema;
  const players = playersOf(settings.superpixels ?? properties.superpixels.default, model);
  if (method.name === "exact")
    return { evaluations: players === null || players > 16 ? null : 2 ** players, about: true };
  if (settings.max_evals !== undefined) return { evaluations: settings.max_evals, about: false };
  const standard = properties.max_evals.default;
  if (standard !== null) return { evaluations: standard, about: false };
  if (players === null) return { evaluations: null, about: true };
  return { evaluations: Math.max(LEAST_OF_PERMUTATIONS, 10 * (2 * players + 1)), about: true };
}

function playersOf(superpixels, model) {
  const [height, width, channels] = model?.input_shape ?? [];
  if (superpixels.kind === "grid") return (superpixels.rows ?? 4) * (superpixels.columns ?? 4);
  if (superpixels.kind === "slic") return superpixels.segments ?? 50;
  if (superpixels.kind !== "pixels" || !height) return null;
  return height * width * (superpixels.channels === "together" ? 1 : channels);
}

function curveEvaluations({ metrics = [], outputs, compare_with: compared }, model) {
  const most = model?.output_count ?? Infinity;
  const count = outputs ? (outputs.top ?? (outputs.labels ?? outputs.indices).length) : 4;
  return metrics.length * ((compared ? 3 : 1) * Math.min(count, most) + 1) * POINTS;
}

async function recent(model, signal) {
  const query = new URLSearchParams({ model, status: "succeeded", limit: 20 });
  try {
    return (await getJson(`v1/explanations?${query}`, { signal })).items;
  } catch {
    return []; // a guess is not worth an error
  }
}

// Evaluations a second of those with the same masker; null where there is none.
function rateOf(items, { masker = "inpaint_telea" }) {
  const like = items.filter(
    (each) => each.settings.masker === masker && !each.cached_from && each.timings?.engine_s > 0,
  );
  if (like.length === 0) return null;
  const total = (part) => like.reduce((sum, each) => sum + part(each), 0);
  return total((each) => each.progress.evaluations) / total((each) => each.timings.engine_s);
}
