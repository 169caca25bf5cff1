// All explanations that the key may see, as a grid; filters and page are those of the address.
import { h, replace } from "../lib/dom.js";
import { getJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { plural } from "../lib/numbers.js";
import { keepSequence, lastSeen } from "../lib/sequence.js";
import { FILTERS, addressOf, filterForm, parametersOf } from "../list/filters.js";
import { selection } from "../list/selection.js";
import { selectionBar } from "../list/selection_bar.js";
import { heatSwitch, thumbnails } from "../list/thumbnails.js";
import { tile } from "../list/tile.js";

const PAGE = 24; // explanations
const POLL_S = 5; // while some are not done

const owners = new Set(); // that the list has shown in this tab
let changed = null; // name of the filter that a person changed, to get the focus back

export async function show(main, { query, signal }) {
  replace(main, h("p", { class: "muted" }, "Loading the explanations…"));
  const parameters = parametersOf(query);
  const address = `v1/explanations?${new URLSearchParams([...parameters, ["limit", PAGE]])}`;
  let refused = null;
  const getPage = () => getJson(address, { signal });
  const [first, models, methods] = await Promise.all([
    getPage().catch((error) => {
      if (error.problem === undefined) throw error;
      refused = error;
      return { items: [], next_cursor: null, total: 0, total_exact: true };
    }),
    getJson("v1/models", { signal }),
    getJson("v1/methods", { signal }),
  ]);
  const load = thumbnails(signal);
  const grid = h("ul", { class: "tiles", on: { keydown: onKey } });
  const said = h("p", { class: "muted", role: "status" });
  const empty = h("p", { class: "empty" });
  const pages = h("nav", { class: "row", "aria-label": "Pages" });
  const all = h("button", { type: "button", on: { click: onAll } }, "Select all on this page");
  const { bar, update } = selectionBar({
    signal,
    onChange: mark,
    onDeleted: async () => draw(await getPage()),
  });
  let items = [];

  function draw(page) {
    ({ items } = page);
    keepSequence(
      items.map(({ id }) => id),
      addressOf(parameters),
    );
    for (const { owner } of items) if (owner) owners.add(owner);
    replace(grid, items.map(tileOf));
    said.textContent = `${page.total_exact ? "" : "More than "}${plural(page.total, "explanation")}`;
    said.hidden = refused !== null;
    grid.hidden = all.hidden = items.length === 0;
    empty.hidden = items.length > 0 || refused !== null;
    const filtered = FILTERS.some((name) => parameters.has(name));
    replace(
      empty,
      parameters.has("cursor")
        ? "No more explanations."
        : [
            filtered ? "No explanation matches the filters. " : "No explanations yet. ",
            h(
              "a",
              { href: filtered ? "#/explanations" : "#/new" },
              filtered ? "Show all" : "Explain a picture",
            ),
          ],
    );
    const oldest = parameters.get("order") === "oldest";
    const to = (cursor) => {
      const next = new URLSearchParams(parameters);
      next.delete("cursor");
      if (cursor) next.set("cursor", cursor);
      return addressOf(next);
    };
    replace(
      pages,
      parameters.has("cursor")
        ? h("a", { class: "button", href: to(null) }, oldest ? "Oldest ones" : "Newest ones")
        : null,
      page.next_cursor
        ? h(
            "a",
            { class: "button", href: to(page.next_cursor) },
            oldest ? "Newer ones" : "Older ones",
          )
        : null,
    );
    mark();
  }

  function tileOf(document) {
    const picture = h("div", { class: "thumbnail" });
    load(picture, document);
    return tile(document, { picture, chosen: selection.has(document.id), onChoose });
  }

  // From tile to tile, by where they stand on the screen.
  function onKey(event) {
    const tiles = [...grid.children];
    const at = tiles.indexOf(event.target.closest("li"));
    if (event.ctrlKey || event.altKey || event.metaKey || at < 0) return;
    if (event.key === "x") tiles[at].querySelector("input").click();
    const top = tiles[0].offsetTop;
    const across = tiles.filter(({ offsetTop }) => offsetTop === top).length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across };
    const to = { Home: 0, End: tiles.length - 1 }[event.key] ?? at + steps[event.key];
    if (!tiles[to]) return;
    event.preventDefault();
    tiles[to].querySelector("a").focus();
  }

  function onChoose(document, chosen) {
    if (chosen) selection.choose(document);
    else selection.drop(document.id);
    mark();
  }

  function onAll() {
    const chosen = items.every(({ id }) => selection.has(id));
    for (const document of items) {
      if (chosen) selection.drop(document.id);
      else selection.choose(document);
    }
    mark();
  }

  function mark() {
    for (const box of grid.querySelectorAll("input[data-id]"))
      box.checked = selection.has(box.dataset.id);
    const chosen = items.length > 0 && items.every(({ id }) => selection.has(id));
    all.textContent = chosen ? "Select none on this page" : "Select all on this page";
    update();
  }

  for (const each of first.items) if (selection.has(each.id)) selection.choose(each); // as it is now
  draw(first);
  const form = filterForm(query, {
    models: models.items.map(({ name }) => name),
    methods: methods.items.map(({ name }) => name),
    owners: [...owners].sort(),
    onChange: (name) => (changed = name),
  });
  const filtered = [...FILTERS, "order"].some((name) => parameters.has(name));
  const cohort = new URLSearchParams(parameters);
  cohort.delete("cursor");
  replace(
    main,
    h("h1", {}, "Explanations"),
    form,
    h(
      "div",
      { class: "row list-head" },
      said,
      filtered ? h("a", { href: "#/explanations" }, "Clear the filters") : null,
      h("a", { href: addressOf(cohort, "/cohorts") }, "As a cohort"),
      heatSwitch(() => replace(grid, items.map(tileOf))),
      all,
    ),
    refused ? h("p", { class: "field-error", role: "alert" }, shortFailure(refused)) : null,
    empty,
    grid,
    pages,
    bar,
  );
  const seen = items.findIndex(({ id }) => id === lastSeen());
  if (changed) form.querySelector(`[name="${changed}"]`)?.focus({ preventScroll: true });
  else if (seen >= 0) grid.children[seen].querySelector("a").focus(); // and scrolls there
  changed = null;

  (async () => {
    while (!signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * POLL_S));
      if (signal.aborted || document.hidden || items.every(({ done }) => done)) continue;
      const page = await getPage();
      for (const [n, each] of items.entries()) {
        const now = page.items.find(({ id }) => id === each.id);
        if (each.done || !now) continue;
        items[n] = now;
        if (selection.has(now.id)) selection.choose(now);
        const had = grid.children[n].contains(document.activeElement);
        const fresh = tileOf(now);
        grid.children[n].replaceWith(fresh);
        if (had) fresh.querySelector("a").focus({ preventScroll: true });
      }
      update();
    }
  })().catch(() => {}); // the list stays as it is
}
