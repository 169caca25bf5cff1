// Files of the result; they are fetched with the key and then saved.
import { h } from "../lib/dom.js";
import { getBlob, postJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { saveBlob } from "../lib/save.js";
import { signedIn } from "../lib/session.js";
import { keyFreeLink } from "./key_free_link.js";

// record: the promise of `loadRecord`.
export function downloads({ id, links, outputs }, view, record, signal) {
  const path = `v1/explanations/${id}`;
  const problem = h("p", { class: "field-error", role: "alert" });
  const drawing = (style) => {
    const { output, percentile, palette, opacity } = view.value;
    const query = new URLSearchParams({ style, percentile, palette });
    if (style === "overlay") query.set("alpha", opacity);
    if (style !== "figure") query.set("output", outputs[output].index);
    return `heatmap.png?${query}`;
  };
  const drawn = (style) => `${path}/${drawing(style)}`;
  const linked = {
    "the report": () => "report.html",
    "the overlay": () => drawing("overlay"),
    "the figure of all outputs": () => drawing("figure"),
  };
  const offered = [
    ["Overlay (PNG)", () => drawn("overlay"), `${id}-overlay.png`],
    ["Figure of all outputs (PNG)", () => drawn("figure"), `${id}-figure.png`],
    ["Arrays (npz)", () => `${path}/attributions?format=npz`, `${id}.npz`],
    links.regions && ["Regions (CSV)", () => `${path}/regions?format=csv`, `${id}-regions.csv`],
    links.regions && ["Regions (JSON)", () => `${path}/regions?format=json`, `${id}-regions.json`],
    links.faithfulness && [
      "Curves (JSON)",
      () => `${path}/faithfulness`,
      `${id}-faithfulness.json`,
    ],
    ["Document (JSON)", () => path, `${id}.json`],
    ["Report (HTML)", () => `${path}/report.html`, `${id}-report.html`],
    ["Report (PDF)", () => `${path}/report.pdf`, `${id}-report.pdf`],
  ].filter(Boolean);
  const signed = [
    ["Record (JSON)", () => `${path}/record`, `${id}-record.json`],
    ["Bundle (zip)", () => `${path}/bundle.zip`, `${id}.zip`],
  ];

  async function save(button, from, name) {
    button.disabled = true;
    problem.textContent = "";
    try {
      saveBlob(await getBlob(from(), { signal }), name);
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
    button.disabled = false;
  }

  const button = ([title, from, name]) => {
    const made = h("button", { type: "button", on: { click: () => save(made, from, name) } }, title);
    return made;
  };

  // A key is sent by this page alone, and a page made from a blob would have this page's policy,
  // which forbids the styles of the report. So whoever has a key opens it by a link for a minute.
  async function onOpen(event) {
    if (!signedIn()) return;
    event.preventDefault();
    problem.textContent = "";
    const body = JSON.stringify({ path: "report.html", lifetime_s: 60 });
    const headers = { "Content-Type": "application/json" };
    try {
      const link = await postJson(`${path}/links`, { body, headers, signal });
      window.open(new URL(link.url, document.baseURI), "_blank", "noopener");
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
  }

  const report = h(
    "a",
    {
      class: "button",
      href: `${path}/report.html`,
      target: "_blank",
      rel: "noopener",
      on: { click: onOpen },
    },
    "Report (new tab)",
  );
  const row = h("div", { class: "row" }, report, offered.map(button));
  record.then((known) => known && row.append(...signed.map(button)));
  return h(
    "section",
    { class: "card", "aria-label": "Downloads" },
    h("h2", {}, "Download"),
    row,
    problem,
    signedIn() ? keyFreeLink(id, linked, signal) : null,
  );
}
