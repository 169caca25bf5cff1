// A table that is sorted by a click on the head of a column.
import { h, replace } from "../lib/dom.js";

// columns: [{title, of(row): the value to sort by, shown(row): its text or element, number}].
// Numbers begin with the highest. rows: as they are first shown.
export function sortableTable(caption, columns, rows) {
  const body = h("tbody", {});
  const heads = columns.map(({ title, number }, n) =>
    h(
      "th",
      { scope: "col", class: number ? "number" : null },
      h("button", { type: "button", class: "sort", on: { click: () => sortBy(n) } }, title),
    ),
  );

  function fill(sorted) {
    replace(
      body,
      sorted.map((row) =>
        h(
          "tr",
          {},
          columns.map(({ of, shown, number }, n) =>
            h(
              n ? "td" : "th",
              { scope: n ? null : "row", class: number ? "number" : null },
              shown ? shown(row) : of(row),
            ),
          ),
        ),
      ),
    );
  }

  function sortBy(n) {
    const { of, number } = columns[n];
    const before = heads[n].getAttribute("aria-sort");
    const falling = before ? before === "ascending" : Boolean(number);
    const compare = (a, b) =>
      number ? (of(a) ?? -Infinity) - (of(b) ?? -Infinity) : of(a).localeCompare(of(b));
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[n].setAttribute("aria-sort", falling ? "descending" : "ascending");
    fill([...rows].sort((a, b) => (falling ? compare(b, a) : compare(a, b))));
  }

  fill(rows);
  return h(
    "div",
    { class: "table-scroll" },
    h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads)), body),
  );
}
