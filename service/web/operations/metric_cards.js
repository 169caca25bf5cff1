// What the metrics tell of the queue, the workers, failures and work done, as cards.
import { h } from "../lib/dom.js";
import { formatNumber, formatSeconds, formatShare, plural } from "../lib/numbers.js";

const OUTCOMES = ["succeeded", "failed", "canceled", "deleted"];

// metrics: of parseMetrics. rate: evaluations a second since they were last read, or null.
export function metricCards(metrics, rate) {
  return [queue(metrics), workers(metrics), failures(metrics), work(metrics, rate), jobs(metrics)];
}

export const withheld = () =>
  card(
    "Not shown",
    h(
      "p",
      {},
      "The queue, workers, failures and totals are in the server’s metrics, which this key may not read: that takes the scope auditor. Sign out and sign in with such a key to see them.",
    ),
  );

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
        ["Damaged artifacts read", formatNumber(of("damaged_artefacts_total"))],
        ["Clock ahead of Redis’s", formatSeconds(of("clock_offset_seconds"))],
      ].filter(([, value]) => value !== null),
    ),
  );
}
