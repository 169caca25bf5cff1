// Files of the result; they are fetched with the key and then saved.
import { h, replace } from "../lib/dom.js";
import { scopes, signedIn } from "../lib/session.js";
import { keyFreeLink } from "./key_free_link.js";
import { saveButton } from "./save_button.js";

export function downloads({ id, links, outputs }, view, signal) {
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
  ].filter(Boolean);
  const content = h("div", { class: "row" }, offered.map((each) => saveButton(each, problem, signal)));
  const link = h("div");
  if (signedIn()) {
    scopes().then((may) => {
      if (may?.includes("explain")) replace(link, keyFreeLink(id, linked, signal));
    });
  }
  return h(
    "section",
    { class: "card", "aria-label": "Downloads" },
    h("h2", {}, "Download"),
    content,
    problem,
    link,
  );
}
