// How the service does: whether it is ready, the queue and the workers, and what failed.
import { h, replace } from "../lib/dom.js";
import { request, sentence } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { parseMetrics } from "../lib/metrics.js";
import { plural } from "../lib/numbers.js";
import { metricCards, withheld } from "../operations/metric_cards.js";
import { webhooksCard } from "../operations/webhooks.js";

const PAUSE_S = 10;

export async function show(main, { signal }) {
  const said = h("p", { role: "status" }, "Asking the server…");
  const problem = h("p", { class: "field-error", role: "alert" });
  const updated = h("span", { class: "muted small" });
  const cards = h("div", { class: "cards operations" });
  const again = h("button", { type: "button", on: { click: refresh } }, "Refresh");
  let before = null; // {evaluations, at} of the metrics read last
  let busy = false;

  async function refresh() {
    if (busy) return;
    busy = again.disabled = true;
    try {
      const state = await readiness(signal);
      const text = `${state.title} ${state.detail}`;
      if (said.textContent !== text) {
        replace(
          said,
          h("strong", { class: `badge ${state.ready ? "fine" : "caution"}` }, state.title),
          ` ${state.detail}`,
        );
      }
      const metrics = await readMetrics(signal);
      replace(cards, metrics ? drawn(metrics) : withheld());
      updated.textContent = `Updated at ${new Date().toLocaleTimeString()}, every ${PAUSE_S} s while this page is visible.`;
      problem.textContent = "";
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
    busy = again.disabled = false;
  }

  function drawn(metrics) {
    const evaluations = metrics.of("shapshot_evaluations_total");
    const at = performance.now() / 1000;
    const rate =
      before && evaluations >= before.evaluations
        ? (evaluations - before.evaluations) / (at - before.at)
        : null;
    before = evaluations === null ? null : { evaluations, at };
    return metricCards(metrics, rate);
  }

  replace(
    main,
    h("h1", {}, "Operations"),
    said,
    h("p", { class: "row" }, again, updated),
    problem,
    cards,
    webhooksCard(signal),
  );
  await refresh();
  (async () => {
    while (!signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * PAUSE_S));
      const kept = document.hidden || cards.contains(document.activeElement); // it would lose focus
      if (!signal.aborted && !kept) await refresh();
    }
  })();
}

// Of `/healthz/ready`, which needs no key: {ready, title, detail}.
async function readiness(signal) {
  let response;
  try {
    response = await fetch("healthz/ready", { signal });
  } catch (error) {
    if (signal.aborted) throw error;
    return { ready: false, title: "Away", detail: "The server cannot be reached." };
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const detail = answer.detail ?? `the server answered ${response.status}`;
    return { ready: false, title: answer.title ?? "Not ready", detail: sentence(detail) };
  }
  const detail = `${plural(answer.workers, "worker")} for ${answer.models.join(", ")}. Redis and the store answer and belong together.`;
  return { ready: true, title: "Ready", detail };
}

// Null where the key may not read them.
async function readMetrics(signal) {
  try {
    return parseMetrics(await (await request("metrics", { signal })).text());
  } catch (error) {
    if (error.problem?.code === "forbidden") return null;
    throw error;
  }
}
