// Two to four explanations side by side: the same class, the same place, and what differs.
import { h, newId, replace } from "../lib/dom.js";
import { getJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { formatShare, plural } from "../lib/numbers.js";
import { observable } from "../lib/observable.js";
import { loadResult } from "../lib/result.js";
import { agreement } from "../compare/agreement.js";
import { TOP, classesOf, outputOf } from "../compare/classes.js";
import { difference } from "../compare/difference.js";
import { panes } from "../compare/panes.js";
import { mismatch, placesOf, sameUpload } from "../compare/places.js";
import { settingsTable } from "../compare/settings_table.js";
import { choice, palettes, slider } from "../explanation/controls.js";

const [FEWEST, MOST] = [2, 4];

export async function show(main, { query, signal }) {
  const ids = [...new Set((query.get("ids") ?? "").split(",").filter(Boolean))];
  const title = h("h1", {}, "Compare");
  const choose = h(
    "p",
    {},
    `Select ${FEWEST} to ${MOST} explanations in `,
    h("a", { href: "#/explanations" }, "the list"),
    " and choose “Compare”.",
  );
  if (ids.length < FEWEST || ids.length > MOST) {
    const got = `The address names ${plural(ids.length, "explanation")}.`;
    replace(main, title, ids.length ? h("p", { class: "field-error" }, got) : null, choose);
    return;
  }
  replace(main, title, h("p", { class: "muted" }, "Loading the arrays…"));
  const asked = ids.map(async (id, n) => {
    const document = await getJson(`v1/explanations/${encodeURIComponent(id)}`, { signal });
    if (!document.links.attributions) return { document };
    return { letter: "ABCD"[n], document, result: await loadResult(document, signal) };
  });
  const answers = await Promise.allSettled(asked);
  signal.throwIfAborted();
  const missing = answers
    .map(({ value, reason }, n) => !value?.result && absence(ids[n], value?.document, reason))
    .filter(Boolean);
  const items = answers.map(({ value }) => value).filter((each) => each?.result);
  if (items.length < FEWEST) {
    replace(main, title, missing, choose);
    return;
  }

  const classes = classesOf(items);
  const kept = query.get("class");
  const known = kept === TOP || classes.some(([label]) => label === kept);
  const [best, explaining] = classes[0];
  const first = known ? kept : explaining > 1 ? best : TOP;
  // label: of the class, or TOP. place: marked in all pictures, of placesOf, or null. pinned: it
  // stays when the pointer leaves. pair: of which the difference is shown.
  const view = observable({
    label: TOP,
    scale: query.get("scale") === "own" ? "own" : "shared",
    palette: "red_blue",
    percentile: 99.9,
    ground: "grey",
    opacity: 0.6,
    zoom: 1,
    place: null,
    pinned: false,
    pair: 0,
  });
  const problem = h("p", { class: "field-error", role: "alert" });
  const select = h(
    "select",
    { id: newId("class"), on: { change: () => showClass(select.value) } },
    h("option", { value: TOP }, "the top class of each"),
    classes.map(([label, count]) =>
      h(
        "option",
        { value: label },
        count === items.length ? label : `${label} (${count} of ${items.length})`,
      ),
    ),
  );

  async function showClass(label) {
    problem.textContent = "";
    try {
      // of very many outputs, only some are loaded at once
      await Promise.all(
        items
          .map((item) => [item, outputOf(item, label)])
          .filter(([, k]) => k >= 0)
          .map(([{ result }, k]) => result.ensure(k)),
      );
      view.set({ label });
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
    select.value = view.value.label;
  }

  await showClass(first);
  const places = placesOf(items);
  view.watch(({ label, scale }) => {
    const next = new URLSearchParams({ ids: ids.join(","), class: label, scale });
    history.replaceState(null, "", new URL(`#/compare?${next}`, location.href));
  });
  replace(
    main,
    title,
    missing,
    h(
      "section",
      { class: "card controls", "aria-label": "Drawing" },
      h("div", { class: "control class" }, h("label", { for: select.id }, "Class"), select),
      choice("Scale", "scale", { shared: "one for all", own: "of each" }, view),
      choice("Zoom", "zoom", { 1: "1 ×", 2: "2 ×", 4: "4 ×", 8: "8 ×" }, view, Number),
      slider(
        "Opacity",
        { min: 0, max: 1, step: 0.01 },
        "opacity",
        (value) => `${Math.round(100 * value)} %`,
        view,
      ),
      choice("Picture", "ground", { grey: "in grey", colour: "in colour", none: "hidden" }, view),
      palettes(view),
    ),
    problem,
    sameUpload(items) && mismatch(items)
      ? h(
          "p",
          { class: "caution-text" },
          "The models saw different parts of the upload, or placed them differently; “What differs” has both.",
        )
      : null,
    panes(items, places, view),
    h(
      "p",
      { class: "muted small" },
      sameUpload(items)
        ? "A place is marked where it lies in the upload; the model’s own crop and size are allowed for."
        : "The uploads differ: a place is marked at the same share of the way across and down.",
      " A click keeps it, a second one lets it go.",
    ),
    h(
      "div",
      { class: "result-grid compare-more" },
      difference(items, places, view),
      agreement(items, view),
    ),
    settingsTable(items),
  );
}

// Why an explanation is not shown.
function absence(id, document, reason) {
  const link = h("a", { href: `#/explanations/${id}` }, document?.image.name ?? id);
  if (!document) return h("p", { class: "field-error" }, link, `: ${shortFailure(reason)}`);
  const told = {
    failed: `failed: ${document.error?.detail}.`,
    canceled: "was canceled before it had a result.",
  }[document.status];
  return h(
    "p",
    { class: "field-error" },
    link,
    ` ${told ?? `is ${document.status}, ${formatShare(document.progress.fraction)}: it can be compared when it is done.`}`,
  );
}
