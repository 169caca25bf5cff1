// A batch: its explanations, each with its progress, until all are done.
import { h, replace } from "../lib/dom.js";
import { getJson, postJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { pictureOf } from "../lib/pictures.js";
import { formatSeconds, formatShare, formatTime, plural } from "../lib/numbers.js";

const PAUSE_S = 1;

export async function show(main, { id, signal }) {
  const path = `v1/batches/${id}`;
  let batch = await getJson(path, { signal });
  const problem = h("p", { class: "field-error", role: "alert" });
  const [said, list] = [h("p", { role: "status" }), h("ol", { class: "members" })];
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const cancel = h(
    "button",
    { type: "button", on: { click: onCancel } },
    "Cancel all that is not done",
  );
  replace(
    main,
    h("h1", {}, `Batch of ${plural(batch.size, "picture")}`),
    h(
      "p",
      { class: "muted" },
      `${batch.model.name} · ${batch.settings.method} · ${formatTime(batch.created_at)}`,
    ),
    h("section", { class: "card" }, said, bar, h("div", { class: "row" }, cancel), problem, list),
  );

  async function onCancel() {
    try {
      await postJson(`${path}/cancel`, { signal });
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
  }

  function draw() {
    const { progress, status, counts } = batch;
    const left = progress.eta_s === null ? "" : `, about ${formatSeconds(progress.eta_s)} left`;
    said.textContent = batch.done
      ? `Done: ${Object.entries(counts)
          .filter(([, count]) => count)
          .map(([name, count]) => `${count} ${name}`)
          .join(", ")}.`
      : `${status === "queued" ? "Waiting" : "Running"}: ${formatShare(progress.fraction)}${left}.`;
    bar.value = progress.fraction;
    cancel.hidden = batch.done;
    replace(
      list,
      batch.explanations.map((each) =>
        h(
          "li",
          {},
          h("a", { href: `#/explanations/${each.id}` }, `Picture ${each.position + 1}`),
          pictureOf(each.id) ? `, ${pictureOf(each.id).name} ` : " ",
          h(
            "span",
            { class: `badge ${{ succeeded: "fine", failed: "caution" }[each.status] ?? "note"}` },
            each.status,
          ),
          " ",
          each.done ? null : formatShare(each.progress.fraction),
          each.error ? h("span", { class: "muted" }, ` ${each.error.detail}`) : null,
        ),
      ),
    );
  }

  draw();
  (async () => {
    while (!batch.done && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * PAUSE_S));
      batch = await getJson(path, { signal });
      draw();
    }
  })().catch((error) => signal.aborted || (problem.textContent = shortFailure(error)));
}
