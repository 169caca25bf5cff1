// The audit log, for keys of the scope auditor: who did what, and when; page by page, and as a file.
import { getJson, request } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { shortFailure } from "../lib/failure.js";
import { plural } from "../lib/numbers.js";
import { saveBlob } from "../lib/save.js";
import { filterForm, parametersOf } from "../audit/filters.js";
import { entryTable } from "../audit/table.js";

const PAGE = 50; // entries

export async function show(main, { query, signal }) {
  const parameters = parametersOf(query);
  const cursor = query.get("cursor");
  const said = h("p", { class: "muted", role: "status" }, "Reading the log…");
  const problem = h("p", { class: "field-error", role: "alert" });
  const content = h("div");
  const pages = h("nav", { class: "row", "aria-label": "Pages" });
  const save = h("button", { type: "button", on: { click: onSave } }, "Save all that match (NDJSON)");
  const again = h("button", { type: "button", on: { click: read } }, "Read again");
  const to = (place) =>
    `#/audit?${new URLSearchParams([...parameters, ...(place ? [["cursor", place]] : [])])}`;

  async function read() {
    again.disabled = true;
    problem.textContent = "";
    try {
      const asked = new URLSearchParams([...parameters, ["limit", PAGE]]);
      if (cursor) asked.set("cursor", cursor);
      draw(await getJson(`v1/audit?${asked}`, { signal }));
    } catch (error) {
      if (signal.aborted) throw error;
      said.textContent = "";
      problem.textContent = shortFailure(error);
    }
    again.disabled = false;
  }

  function draw({ items, next_cursor: next, sealed_until: sealed, signing }) {
    const more = next ? ", and there are earlier ones" : "";
    const young = items.filter(({ id }) => isAfter(id, sealed));
    said.textContent = items.length
      ? `${plural(items.length, "entry", "entries")} on this page, the newest first${more}. ${signed(young.length, items.length, signing)}`
      : next
        ? "None so far: the rest of the log is on the next pages."
        : `No ${cursor ? "earlier " : ""}entry matches the filters.`;
    replace(content, items.length ? entryTable(items, new Set(young)) : null);
    replace(
      pages,
      cursor ? h("a", { class: "button", href: to(null) }, "Newest ones") : null,
      next ? h("a", { class: "button", href: to(next) }, "Earlier ones") : null,
    );
  }

  async function onSave() {
    save.disabled = true;
    problem.textContent = "";
    try {
      const headers = { Accept: "application/x-ndjson" };
      const answer = await request(`v1/audit?${parameters}`, { headers, signal });
      saveBlob(await answer.blob(), "audit.ndjson");
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
    save.disabled = false;
  }

  replace(
    main,
    h("h1", {}, "Audit log"),
    h(
      "p",
      { class: "muted" },
      "Who asked, read, held, reviewed, deleted and was refused what. Times are by the server's clock, shown in your time zone. Reading this log is an entry, too.",
    ),
    filterForm(query),
    h(
      "div",
      { class: "row" },
      again,
      save,
      parameters.size ? h("a", { href: "#/audit" }, "Clear the filters") : null,
    ),
    said,
    problem,
    content,
    pages,
  );
  await read();
}

// Whether an entry follows the last one that is signed; ids are milliseconds, a hyphen, a number.
function isAfter(id, sealed) {
  const [[ms, number], [lastMs, lastNumber]] = [id, sealed ?? "0-0"].map((each) =>
    each.split("-").map(Number),
  );
  return ms > lastMs || (ms === lastMs && number > lastNumber);
}

function signed(young, all, signing) {
  if (young === 0) return "All of them are signed.";
  const which = young === all ? "None of them is signed" : `${young} of them are not signed`;
  return signing
    ? `${which} yet: the server signs about every ten minutes.`
    : `${which}: the server has no key.`;
}
