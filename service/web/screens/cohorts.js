// Explanations that the filters select, as cases: right and wrong, and where their credit falls.
import { h, replace } from "../lib/dom.js";
import { getJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { formatNumber, plural } from "../lib/numbers.js";
import { observable } from "../lib/observable.js";
import { ORDERS, caseOf, classNames } from "../cohorts/cases.js";
import { countsView } from "../cohorts/counts_view.js";
import { creditView } from "../cohorts/credit_view.js";
import { saveCsv, saveJson } from "../cohorts/export.js";
import { loadCases } from "../cohorts/load.js";
import { contactSheet } from "../cohorts/sheet.js";
import { addressOf, filterForm, parametersOf } from "../list/filters.js";

const PATH = "/cohorts";
const PAGE = 100; // explanations, the server's limit
const MOST = 200; // cases at a time: of each the arrays are loaded

let changed = null; // name of the filter that a person changed, to get the focus back

export async function show(main, { query, signal }) {
  replace(main, h("p", { class: "muted" }, "Loading the explanations…"));
  const parameters = parametersOf(query);
  let refused = null;
  const [found, models, methods] = await Promise.all([
    explanations(parameters, signal).catch((error) => {
      if (error.problem === undefined) throw error;
      refused = error;
      return { items: [], total: 0, total_exact: true, next: null };
    }),
    getJson("v1/models", { signal }),
    getJson("v1/methods", { signal }),
  ]);
  const form = filterForm(query, {
    path: PATH,
    models: models.items.map(({ name }) => name),
    methods: methods.items.map(({ name }) => name),
    owners: [...new Set(found.items.map(({ owner }) => owner).filter(Boolean))].sort(),
    onChange: (name) => (changed = name),
  });
  const filtered = parameters.size > 0;
  const cases = found.items.filter(({ outputs }) => outputs?.length).map(caseOf);
  cases.sort(ORDERS.worst[1]);
  replace(
    main,
    h("h1", {}, "Cohorts"),
    form,
    h(
      "div",
      { class: "row list-head" },
      h("p", { class: "muted", role: "status" }, said(found, cases)),
      filtered ? h("a", { href: `#${PATH}` }, "Clear the filters") : null,
      parameters.has("cursor")
        ? h("a", { class: "button", href: next(parameters, null) }, `First ${MOST}`)
        : null,
      found.next
        ? h("a", { class: "button", href: next(parameters, found.next) }, `Next ${MOST}`)
        : null,
    ),
    refused ? h("p", { class: "field-error", role: "alert" }, shortFailure(refused)) : null,
    cases.length ? cohort(cases, parameters, signal) : null,
  );
  if (changed) form.querySelector(`[name="${changed}"]`)?.focus({ preventScroll: true });
  changed = null;
}

// Up to MOST of them, page by page.
async function explanations(parameters, signal) {
  const items = [];
  let [page, cursor] = [null, parameters.get("cursor")];
  do {
    const asked = new URLSearchParams(parameters);
    asked.set("limit", PAGE);
    if (cursor) asked.set("cursor", cursor);
    page = await getJson(`v1/explanations?${asked}`, { signal });
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < MOST);
  return { items, total: page.total, total_exact: page.total_exact, next: cursor };
}

const next = (parameters, cursor) => {
  const those = new URLSearchParams(parameters);
  those.delete("cursor");
  if (cursor) those.set("cursor", cursor);
  return addressOf(those, PATH);
};

function said({ items, total, total_exact: exact }, cases) {
  const sentences = [`${exact ? "" : "More than "}${plural(total, "explanation")}`];
  if (items.length < total) sentences.push(`these are ${formatNumber(items.length)} of them`);
  const without = items.length - cases.length;
  if (without) sentences.push(`${formatNumber(without)} without a result`);
  const names = new Set(cases.map(({ document }) => document.model.name));
  if (names.size > 1)
    sentences.push(`by ${names.size} models: choose one to compare scores of one kind`);
  return `${sentences.join("; ")}.`;
}

function cohort(cases, parameters, signal) {
  const nameOf = classNames(cases);
  const view = observable({
    order: "worst",
    verdict: "",
    truth: "",
    predicted: "",
    palette: "red_blue",
    opacity: 0.6,
  });
  const sheet = contactSheet(cases, nameOf, view);
  const credit = creditView(cases, nameOf);
  const pending = new Set(cases);
  let failed = 0;
  const progress = h("progress", { max: cases.length, value: 0, "aria-label": "Pictures loaded" });
  const status = h("p", { role: "status", class: "small" });
  const toggle = h("button", { type: "button", on: { click: () => (stop ? stop.abort() : run()) } });
  const bar = h("div", { class: "row cohort-bar" }, progress, status, toggle);
  let stop = null; // AbortController while it runs

  function tell() {
    const done = cases.length - pending.size;
    progress.value = done;
    progress.hidden = pending.size === 0;
    toggle.hidden = pending.size === 0;
    toggle.textContent = stop ? "Stop" : "Go on";
    status.textContent =
      (pending.size === 0
        ? `${plural(cases.length, "picture")} loaded and measured`
        : `${formatNumber(done)} of ${plural(cases.length, "picture")} loaded and measured`) +
      (failed ? `; ${formatNumber(failed)} could not be loaded.` : ".");
  }

  async function run() {
    const own = (stop = new AbortController());
    signal.addEventListener("abort", () => own.abort(), { once: true });
    tell();
    let shownAt = performance.now();
    const after = (each) => {
      pending.delete(each);
      tell();
      if (performance.now() - shownAt < 500) return;
      credit.update(); // of those that are known
      shownAt = performance.now();
    };
    await loadCases([...pending], own.signal, {
      onLoaded(each, arrays) {
        sheet.show(each, arrays);
        after(each);
      },
      onFailed(each, error) {
        failed += 1;
        sheet.fail(each, error);
        after(each);
      },
    });
    if (signal.aborted) return;
    stop = null;
    tell();
    credit.update();
    sheet.sort();
  }

  function onPair({ truth, predicted }) {
    view.set({ truth, predicted, verdict: "wrong" });
    sheet.element.scrollIntoView();
  }

  run();
  const save = (title, action) => h("button", { type: "button", on: { click: action } }, title);
  return h(
    "div",
    { class: "cohort" },
    bar,
    h("div", { class: "cohort-grid" }, countsView(cases, nameOf, onPair)),
    credit.element,
    sheet.element,
    h(
      "section",
      { class: "card", "aria-label": "Download" },
      h("h2", {}, "Download the numbers"),
      h(
        "p",
        { class: "muted small" },
        "Of the cases above; credit of those that are loaded. The file for programs also has the counts, " +
          "the confused classes and the mean maps.",
      ),
      h(
        "div",
        { class: "row" },
        save("Cases (CSV)", () => saveCsv(cases)),
        save("All numbers (JSON)", () => saveJson(cases, nameOf, parameters)),
      ),
    ),
  );
}
