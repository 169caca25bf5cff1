// All explanations that the key may see, newest first: a grid with small pictures.
import { h, newId, replace } from "../lib/dom.js";
import { getBlob, getJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { formatNumber, formatShare, formatTime, plural } from "../lib/numbers.js";
import { NOTES, WARNINGS } from "../lib/warning_texts.js";

const STATUSES = ["queued", "running", "canceling", "succeeded", "failed", "canceled"];
const FILTERS = ["status", "model", "method", "warning", "label"]; // of `GET /v1/explanations`
const PAGE = 24; // explanations
const THUMBNAIL = 240; // pixels across

export async function show(main, { query, signal }) {
  replace(main, h("p", { class: "muted" }, "Loading the explanations…"));
  const [first, models, methods] = await Promise.all([
    page(query, null, signal),
    getJson("v1/models", { signal }),
    getJson("v1/methods", { signal }),
  ]);
  const load = loader(signal);
  const grid = h("ul", { class: "tiles" });
  const problem = h("p", { class: "field-error", role: "alert" });
  const more = h("button", { type: "button", on: { click: onMore } }, "Older ones");
  let cursor = null;

  function add({ items, next_cursor }) {
    grid.append(...items.map((each) => tile(each, load)));
    cursor = next_cursor;
    more.hidden = cursor === null;
  }

  async function onMore() {
    more.disabled = true;
    problem.textContent = "";
    try {
      const at = grid.childElementCount;
      add(await page(query, cursor, signal));
      grid.children[at]?.querySelector("a").focus(); // the button may have gone
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
    more.disabled = false;
  }

  const chosen = FILTERS.some((name) => query.get(name));
  add(first);
  replace(
    main,
    h("h1", {}, "Explanations"),
    filters(query, {
      status: STATUSES,
      model: models.items.map(({ name }) => name),
      method: methods.items.map(({ name }) => name),
      warning: Object.keys(WARNINGS),
    }),
    h(
      "p",
      { class: "muted", role: "status" },
      `${first.total_exact ? "" : "More than "}${plural(first.total, "explanation")}`,
    ),
    first.items.length
      ? grid
      : h(
          "p",
          { class: "empty" },
          chosen ? "None is like that. " : "There is none yet. ",
          h(
            "a",
            { href: chosen ? "#/explanations" : "#/new" },
            chosen ? "Show all" : "Explain a picture",
          ),
        ),
    problem,
    h("p", { class: "row" }, more),
  );
}

function page(query, cursor, signal) {
  const asked = new URLSearchParams({ limit: PAGE });
  for (const name of FILTERS) if (query.get(name)) asked.set(name, query.get(name));
  if (cursor) asked.set("cursor", cursor);
  return getJson(`v1/explanations?${asked}`, { signal });
}

// The filters are part of the address, so that a filtered list can be kept and sent.
function filters(query, options) {
  const control = (name, title, box) => {
    box.id = newId(name);
    box.name = name;
    return h("div", { class: "control" }, h("label", { for: box.id }, title), box);
  };
  const choice = (name, title) => {
    const all = [...new Set([...options[name], query.get(name)].filter(Boolean))];
    const select = h(
      "select",
      { on: { change: apply } },
      h("option", { value: "" }, "all"),
      all.map((each) => h("option", { value: each }, each.replaceAll("_", " "))),
    );
    select.value = query.get(name) ?? "";
    return control(name, title, select);
  };
  const label = h("input", {
    type: "search",
    value: query.get("label"),
    placeholder: "all",
    on: { change: apply },
  });
  const form = h(
    "form",
    { class: "row filters", on: { submit: (event) => event.preventDefault() } },
    choice("status", "Status"),
    choice("model", "Model"),
    choice("method", "Method"),
    choice("warning", "Warning"),
    control("label", "Top class", label),
  );
  function apply() {
    const next = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    location.hash = next.size ? `/explanations?${next}` : "/explanations";
  }
  return form;
}

function tile(document, load) {
  const { id, status, outputs, model, settings, warnings, error, progress } = document;
  const picture = h("div", { class: "thumbnail" });
  if (document.links.heatmap) load(picture, document);
  else
    replace(
      picture,
      h("span", { class: "muted" }, document.done ? "no result" : formatShare(progress.fraction)),
    );
  const doubts = (warnings ?? []).filter(({ code }) => !NOTES.includes(code)).length;
  const top = outputs?.[0];
  return h(
    "li",
    { class: "tile" },
    h(
      "a",
      { href: `#/explanations/${id}` },
      picture,
      h(
        "span",
        { class: "tile-title" },
        top
          ? [h("strong", {}, top.label), ` ${formatNumber(top.score)}`]
          : h("strong", {}, error ? error.title : "Not known yet"),
      ),
    ),
    h(
      "p",
      { class: "muted small" },
      `${model.name} · ${settings.method} · ${formatTime(document.created_at)}`,
    ),
    h(
      "p",
      { class: "row tight" },
      h(
        "span",
        {
          class: `badge ${{ succeeded: "fine", failed: "caution", canceled: "note" }[status] ?? "note"}`,
        },
        status,
      ),
      doubts ? h("span", { class: "badge caution" }, plural(doubts, "doubt")) : null,
    ),
  );
}

// Loads small pictures when they come into sight, a few at a time.
function loader(signal) {
  const [jobs, ATONCE] = [[], 4];
  let running = 0;
  async function next() {
    if (running === ATONCE || jobs.length === 0) return;
    running += 1;
    await draw(...jobs.shift());
    running -= 1;
    next();
  }
  async function draw(place, { id, outputs }) {
    try {
      const query = new URLSearchParams({
        style: "overlay",
        size: THUMBNAIL,
        output: outputs[0].index,
      });
      const src = URL.createObjectURL(
        await getBlob(`v1/explanations/${id}/heatmap.png?${query}`, { signal }),
      );
      signal.addEventListener("abort", () => URL.revokeObjectURL(src), { once: true });
      replace(place, h("img", { src, alt: "", loading: "lazy" }));
    } catch {
      replace(place, h("span", { class: "muted" }, "no picture"));
    }
  }
  const wanted = new WeakMap();
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        jobs.push([target, wanted.get(target)]);
        next();
      }
    },
    { rootMargin: "200px" },
  );
  signal.addEventListener("abort", () => seen.disconnect(), { once: true });
  return (place, document) => {
    wanted.set(place, document);
    seen.observe(place);
  };
}
