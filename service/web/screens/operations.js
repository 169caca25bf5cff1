// How the service does: whether it is ready, the queue and the workers, and what failed.
import { h, replace } from "../lib/dom.js";
import { request, sentence } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { parseMetrics } from "../lib/metrics.js";
import { formatNumber, formatSeconds, formatShare, plural } from "../lib/numbers.js";

const PAUSE_S = 10;
const OUTCOMES = ["succeeded", "failed", "canceled", "deleted"];

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
    return [
      queue(metrics),
      workers(metrics),
      failures(metrics),
      work(metrics, rate),
      jobs(metrics),
    ];
  }

  replace(
    main,
    h("h1", {}, "Operations"),
    said,
    h("p", { class: "row" }, again, updated),
    problem,
    cards,
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

const card = (title, ...children) =>
  h("section", { class: "card", "aria-label": title }, h("h2", {}, title), children);

const facts = (pairs) =>
  h(
    "dl",
    {},
    pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );

// name: of a table that may be wider than the screen.
function table(heads, rows, name = null) {
  return h(
    "div",
    { class: "table-scroll", ...(name && { tabindex: "0", role: "region", "aria-label": name }) },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((each, n) => h("th", { scope: "col", class: n ? "number" : null }, each)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(([first, ...rest]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, first),
            rest.map((each) => h("td", { class: "number" }, each)),
          ),
        ),
      ),
    ),
  );
}

const withheld = () =>
  card(
    "Not shown",
    h(
      "p",
      {},
      "The queue, workers, failures and totals are in the server’s metrics, which this key may not read: that takes the scope auditor. Sign out and sign in with such a key to see them.",
    ),
  );

function queue(metrics) {
  if (metrics.of("shapshot_redis_up") === 0)
    return card("Queue", h("p", {}, "Redis does not answer, so the queue is unknown."));
  return card(
    "Queue",
    table(
      ["Priority", "Waiting", "Longest wait"],
      metrics
        .all("shapshot_queue_jobs")
        .map(({ labels, value }) => [
          labels.priority,
          formatNumber(value),
          value ? formatSeconds(metrics.of("shapshot_queue_oldest_age_seconds", labels)) : "–",
        ]),
    ),
    h("p", {}, `${plural(metrics.of("shapshot_running_jobs"), "job")} running.`),
  );
}

function workers(metrics) {
  const models = metrics.all("shapshot_model_workers");
  return card(
    "Workers",
    h("p", {}, `${plural(metrics.of("shapshot_workers") ?? 0, "live worker")}.`),
    models.length
      ? table(
          ["Model", "Workers that serve it"],
          models.map(({ labels, value }) => [
            h(
              "a",
              { href: `#/explanations?${new URLSearchParams({ model: labels.model })}` },
              labels.model,
            ),
            formatNumber(value),
          ]),
        )
      : h("p", {}, "No worker serves a model."),
  );
}

function failures(metrics) {
  const codes = metrics.all("shapshot_job_failures_total").filter(({ value }) => value > 0);
  const refused = metrics.all("shapshot_problems_total").filter(({ value }) => value > 0);
  const rows = (samples) =>
    samples
      .sort((one, other) => other.value - one.value)
      .map(({ labels, value }) => [h("code", {}, labels.code), formatNumber(value)]);
  return card(
    "Failures",
    codes.length
      ? [
          table(["Failed jobs, by code", "Jobs"], rows(codes)),
          h("p", {}, h("a", { href: "#/explanations?status=failed" }, "The failed explanations")),
        ]
      : h("p", {}, "No job has failed."),
    h(
      "details",
      {},
      h("summary", {}, "Requests refused by this API process"),
      refused.length
        ? table(["By code", "Answers"], rows(refused))
        : h("p", {}, "It has refused none."),
    ),
  );
}

function jobs(metrics) {
  const methods = metrics
    .all("shapshot_jobs_accepted_total")
    .filter(({ value }) => value > 0)
    .map(({ labels }) => labels.method);
  return card(
    "Jobs",
    methods.length
      ? table(
          ["Method", "accepted", ...OUTCOMES],
          methods.map((method) => [
            method,
            formatNumber(metrics.of("shapshot_jobs_accepted_total", { method })),
            ...OUTCOMES.map((outcome) =>
              formatNumber(metrics.of("shapshot_jobs_total", { method, outcome }) ?? 0),
            ),
          ]),
          "Jobs by method and outcome",
        )
      : h("p", {}, "No job was accepted yet."),
  );
}

// rate: evaluations a second since the metrics were last read, or null.
function work(metrics, rate) {
  const of = (name) => metrics.of(`shapshot_${name}`);
  const [hits, misses] = [of("cache_hits_total"), of("cache_misses_total")];
  const lost = metrics.all("shapshot_data_mismatch").filter(({ value }) => value > 0);
  return card(
    "Work",
    facts(
      [
        ["Evaluations", formatNumber(of("evaluations_total"))],
        ["Evaluations a second", rate === null ? "at the next refresh" : formatNumber(rate, 3)],
        ["In the model", formatSeconds(of("model_forward_seconds_total"))],
        ["Masking", formatSeconds(of("masking_seconds_total"))],
        [
          "Model batches filled",
          of("model_batch_slots_total")
            ? formatShare(of("evaluations_total") / of("model_batch_slots_total"))
            : "–",
        ],
        [
          "Answered from the cache",
          hits + misses ? `${formatNumber(hits)} of ${formatNumber(hits + misses)}` : "–",
        ],
        ["Redis", of("redis_up") ? "answers" : "does not answer"],
        [
          "Redis and the store",
          lost.length ? lost.map(({ labels }) => labels.reason).join(", ") : "belong together",
        ],
        ["Damaged artefacts read", formatNumber(of("damaged_artefacts_total"))],
        ["Clock ahead of Redis’s", formatSeconds(of("clock_offset_seconds"))],
      ].filter(([, value]) => value !== null),
    ),
  );
}
