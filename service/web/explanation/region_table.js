// The regions as a table, by rank; it and the picture highlight each other's region.
import { h, replace } from "../lib/dom.js";
import { excludesZero, isDifference } from "../lib/comparison.js";
import { formatInterval, formatShare, formatSigned, formatNumber } from "../lib/numbers.js";

const FIRST = 50; // rows shown at once

// toggle(region): where given, the buttons hide and show regions; view.hidden is the Set of hidden ones.
export function regionTable(result, document, view, { toggle = null } = {}) {
  const { regions } = result;
  if (!regions) return null;
  const uncertain = regions.credit[0].of(0).low !== null;
  const rows = new Map(); // by region
  const body = h("tbody", {});
  const caption = h("caption", {});
  const scroller = h(
    "div",
    { class: "table-scroll", tabindex: "-1" },
    h(
      "table",
      { class: "regions" },
      caption,
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "Rank"),
          h("th", { scope: "col" }, toggle ? "Region, press to hide" : "Region"),
          h("th", { scope: "col", class: "number" }, uncertain ? "Value, 95 % interval" : "Value"),
          h("th", { scope: "col", class: "number" }, "Share"),
          h("th", { scope: "col", class: "number" }, "Area"),
        ),
      ),
      body,
    ),
  );
  const more = h("button", { type: "button", on: { click: () => fill(shown * 4) } }, "Show more");
  let shown = FIRST;
  let largest = 1; // share

  function fill(count) {
    shown = Math.min(count, regions.count);
    rows.clear();
    const { order, of } = regions.credit[view.value.output];
    largest = of(order[0]).share || 1;
    for (const region of order.slice(0, shown)) rows.set(region, row(region, of(region)));
    replace(body, [...rows.values()]);
    more.hidden = shown === regions.count;
    mark();
  }

  function row(region, { value, low, high, rank, share }) {
    const differs = isDifference(document.outputs[view.value.output]) && excludesZero({ low, high });
    const bar = h("span", { class: `bar ${value < 0 ? "against" : "for"}` });
    bar.style.width = `${Math.max(2, (100 * share) / largest)}%`;
    return h(
      "tr",
      { "data-region": region },
      h("td", {}, formatNumber(rank)),
      h(
        "th",
        { scope: "row" },
        h(
          "button",
          {
            type: "button",
            class: "row-button",
            tabindex: "-1",
            "aria-label": toggle ? `Hide region ${region}` : `Region ${region}`,
            "aria-pressed": toggle ? String(view.value.hidden.has(region)) : null,
            on: {
              focus: () => view.set({ region, pinned: true }),
              click: () => (toggle ? toggle(region) : view.set({ region, pinned: true })),
            },
          },
          formatNumber(region),
        ),
      ),
      h(
        "td",
        { class: "number" },
        low === null ? formatSigned(value) : formatInterval(value, low, high),
        differs ? [" ", h("span", { class: "badge note" }, "differs")] : null,
      ),
      h(
        "td",
        { class: "number share" },
        formatShare(share),
        h("span", { class: "track", "aria-hidden": "true" }, bar),
      ),
      h(
        "td",
        { class: "number" },
        formatShare(regions.areas[region] / (result.width * result.height)),
      ),
    );
  }

  function mark() {
    const { region, output } = view.value;
    if (region !== null && !rows.has(region)) {
      fill(Math.max(shown, regions.credit[output].of(region).rank));
      return;
    }
    const focused = region ?? regions.credit[output].order[0];
    for (const [id, each] of rows) {
      each.classList.toggle("current", id === region);
      each.querySelector("button").tabIndex = id === focused ? 0 : -1; // one stop of the Tab key
    }
    const current = rows.get(region);
    if (current && !scroller.contains(globalThis.document.activeElement)) {
      const [box, at] = [scroller.getBoundingClientRect(), current.getBoundingClientRect()];
      if (at.top < box.top + 40 || at.bottom > box.bottom)
        scroller.scrollTop += at.top - box.top - box.height / 2;
    }
  }

  body.addEventListener("pointerover", (event) => {
    const over = event.target.closest("tr");
    if (over && !view.value.pinned) view.set({ region: Number(over.dataset.region) });
  });
  body.addEventListener("pointerleave", () => view.value.pinned || view.set({ region: null }));
  body.addEventListener("keydown", (event) => {
    const { order, of } = regions.credit[view.value.output];
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: 10,
      PageUp: -10,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key === "Escape") view.set({ region: null, pinned: false });
    if (!(event.key in steps)) return;
    event.preventDefault();
    const at = of(Number(event.target.closest("tr").dataset.region)).rank - 1;
    const next = order[Math.min(Math.max(at + steps[event.key], 0), regions.count - 1)];
    view.set({ region: next, pinned: true });
    rows.get(next).querySelector("button").focus();
  });
  view.watch((now, changed) => {
    if (changed.includes("output")) {
      replace(
        caption,
        `${formatNumber(regions.count)} regions, by what they owe to “${document.outputs[now.output].label}”`,
      );
      fill(shown);
    } else if (changed.includes("region")) mark();
    if (toggle && changed.includes("hidden"))
      for (const [id, each] of rows)
        each.querySelector("button").setAttribute("aria-pressed", String(now.hidden.has(id)));
  });
  return h(
    "section",
    { class: "card", "aria-label": "Regions" },
    h("h2", {}, "Regions"),
    scroller,
    more,
  );
}
