// A batch: its pictures as tiles, each with its progress, until all are done.
import { h, replace } from "../lib/dom.js";
import { getJson, postJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { pictureOf } from "../lib/pictures.js";
import { reportLink } from "../lib/report_link.js";
import { keepSequence } from "../lib/sequence.js";
import { formatSeconds, formatShare, plural } from "../lib/numbers.js";
import { timeAgo } from "../lib/time.js";
import { heatSwitch, thumbnails } from "../list/thumbnails.js";
import { tile } from "../list/tile.js";

const PAUSE_S = 1;

export async function show(main, { id, signal }) {
  const path = `v1/batches/${id}`;
  let batch = await getJson(path, { signal });
  const problem = h("p", { class: "field-error", role: "alert" });
  const said = h("p", { role: "status" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const cancel = h(
    "button",
    { type: "button", on: { click: onCancel } },
    "Cancel all that is not done",
  );
  const inList = h(
    "a",
    { href: `#/explanations?batch=${id}` },
    "Filter, select, compare or download them in the list",
  );
  const reports = [
    reportLink(["Report of all (new tab)", path, "report.html"], problem, signal),
    reportLink(["The same as PDF (new tab)", path, "report.pdf"], problem, signal),
  ];
  const list = h("ol", { class: "tiles members" });
  const load = thumbnails(signal);
  const drawn = new Map(); // by explanation: {element, picture, state, done}
  keepSequence(
    batch.explanations.map((each) => each.id),
    `#/batches/${id}`,
  );
  replace(
    main,
    h("h1", {}, `Batch of ${plural(batch.size, "picture")}`),
    h(
      "p",
      { class: "muted" },
      `${batch.model.name} · ${batch.settings.method} · `,
      timeAgo(batch.created_at),
    ),
    h("section", { class: "card" }, said, bar, h("div", { class: "row" }, cancel, inList, reports, heatSwitch(redraw)), problem),
    list,
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
    cancel.hidden = bar.hidden = batch.done;
    for (const each of reports) each.hidden = !(batch.done && batch.counts.succeeded);
    for (const each of batch.explanations) {
      const state = JSON.stringify([each.status, each.progress.fraction]);
      const known = drawn.get(each.id);
      if (known?.state === state) continue;
      const picture = known?.picture ?? h("div", { class: "thumbnail" });
      const member = documentOf(each);
      if (!known || known.done !== each.done) load(picture, member);
      const element = tile(member, { picture });
      const hadFocus = known?.element.contains(document.activeElement);
      if (known) known.element.replaceWith(element);
      else list.append(element);
      if (hadFocus) element.querySelector("a").focus({ preventScroll: true });
      drawn.set(each.id, { element, picture, state, done: each.done });
    }
  }

  function redraw() {
    drawn.clear();
    replace(list);
    draw();
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

// The member of a batch as the document of an explanation, as far as it is known.
const documentOf = ({ name, position, top, ...each }) => ({
  ...each,
  image: { name: name ?? pictureOf(each.id)?.name ?? `Picture ${position + 1}` },
  outputs: top && [top],
});
