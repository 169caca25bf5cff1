// The pairs of regions that act together most, drawn and as a table.
import { h, replace } from "../lib/dom.js";
import { getBlob, getJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { formatInterval, formatNumber } from "../lib/numbers.js";

const PAIRS = 12; // drawn and listed

export function interactions({ id, outputs }, view, signal) {
  const path = `v1/explanations/${id}`;
  const picture = h("div", {}, "Loading the drawing…");
  const body = h("tbody", {});
  const problem = h("p", { class: "field-error", role: "alert" });
  const listed = getJson(`${path}/regions?format=json&pairs=${PAIRS}`, { signal });
  let [address, drawn] = [null, null]; // of the drawing that is shown
  signal.addEventListener("abort", () => address && URL.revokeObjectURL(address), { once: true });

  async function show({ output, palette }) {
    const { index, label } = outputs[output];
    const query = new URLSearchParams({
      style: "interactions",
      output: index,
      pairs: PAIRS,
      palette,
    });
    drawn = String(query);
    try {
      const [{ interactions: pairs }, blob] = await Promise.all([
        listed,
        getBlob(`${path}/heatmap.png?${query}`, { signal }),
      ]);
      if (drawn !== String(query)) return; // another was chosen in between
      if (address) URL.revokeObjectURL(address);
      address = URL.createObjectURL(blob);
      const alt = `Lines between the regions that act together most for ${label}`;
      replace(picture, h("img", { src: address, alt, class: "interactions-drawing" }));
      replace(body, (pairs ?? []).filter((pair) => pair.output === index).map(row));
      replace(problem);
    } catch (error) {
      if (!signal.aborted) replace(problem, shortFailure(error));
    }
  }
  view.watch((now, changed) => {
    if (changed.includes("output") || changed.includes("palette")) show(now);
  });
  return h(
    "section",
    { class: "card", "aria-label": "Interactions" },
    h("h2", {}, "Which regions act together?"),
    picture,
    h(
      "div",
      { class: "table-scroll", tabindex: "-1" },
      h(
        "table",
        { class: "interactions" },
        h("caption", {}, "What two regions add together, beyond each without the other"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "Rank"),
            h("th", { scope: "col" }, "Regions"),
            h("th", { scope: "col", class: "number" }, "Interaction, 95 % interval"),
          ),
        ),
        body,
      ),
    ),
    problem,
  );
}

const row = ({ rank, regions: [one, other], value, low, high }) =>
  h(
    "tr",
    {},
    h("td", {}, formatNumber(rank)),
    h("th", { scope: "row" }, `${formatNumber(one)} and ${formatNumber(other)}`),
    h("td", { class: "number" }, formatInterval(value, low, high)),
  );
