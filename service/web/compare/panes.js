// The pictures side by side, with the heat of one class, and a place that is marked in all.
import { modelsOf } from "../lib/comparison.js";
import { h, replace, svg } from "../lib/dom.js";
import { limit } from "../lib/colours.js";
import { formatInterval, formatNumber, formatSigned } from "../lib/numbers.js";
import { DIRECTIONS, regionAt, stageOf } from "../stage/stage.js";
import { labelOf, outputOf } from "./classes.js";

const STEP = 1 / 40; // of the picture, by one press of an arrow key

// items: [{letter, document, result}]. places: of placesOf.
export function panes(items, places, view) {
  return h(
    "div",
    { class: "panes" },
    items.map((item) => pane(item, items, places, view)),
  );
}

function pane(item, items, places, view) {
  const { letter, document, result } = item;
  const { width, height, regions } = result;
  const mark = svg(
    "svg",
    { class: "mark", viewBox: "-12 -12 24 24", "aria-hidden": "true" },
    svg("path", { class: "mark-edge", d: "M-11 0H-3M3 0H11M0 -11V-3M0 3V11" }),
    svg("path", { class: "mark-line", d: "M-11 0H-3M3 0H11M0 -11V-3M0 3V11" }),
  );
  const reading = h("p", {
    class: "reading small",
    id: `reading-${letter}`,
    "aria-live": "polite",
  });
  const stage = stageOf(result, {
    tabindex: "0",
    role: "application",
    "aria-roledescription": "heatmap",
    "aria-label": `Heatmap ${letter}. Arrow keys move the marked place in all pictures, Escape removes it.`,
    "aria-describedby": reading.id,
  });
  const { element, layers } = stage;
  layers.append(mark);
  const head = h("p", { class: "small" });
  const scale = h("p", { class: "muted small" });

  view.watch((now, changed) => {
    const any = (...names) => names.some((name) => changed.includes(name));
    const k = outputOf(item, now.label);
    if (any("ground")) stage.showGround(now.ground);
    if (any("opacity")) stage.showOpacity(now.opacity);
    if (any("label")) {
      const output = document.outputs[k];
      replace(
        head,
        output
          ? [
              h("strong", {}, labelOf(output)),
              ` ${formatNumber(output.score)}, base value ${formatNumber(output.base_value)}`,
            ]
          : h("span", { class: "caution-text" }, `It does not explain “${now.label}”.`),
      );
    }
    if (any("label", "scale", "palette")) {
      const bound = k < 0 ? null : boundOf(item, items, now);
      stage.showHeat(k < 0 ? null : result.shown[k], bound, now.palette);
      scale.textContent = k < 0 ? "" : `Full colour at ±${formatNumber(bound, 2)} a pixel`;
    }
    if (any("zoom", "place", "label")) look(now, k);
  });

  function look(now, k) {
    const at = now.place && places.to(item, now.place);
    mark.style.display = at ? "" : "none";
    if (at) {
      [mark.style.left, mark.style.top] = [`${(100 * at.x) / width}%`, `${(100 * at.y) / height}%`];
      mark.style.scale = 1 / now.zoom;
    }
    layers.style.transform = now.zoom === 1 ? "" : `scale(${now.zoom})`;
    if (at && (now.pinned || now.zoom === 1))
      layers.style.transformOrigin = `${mark.style.left} ${mark.style.top}`;
    const region = at && regions && k >= 0 ? regionAt(regions, width, at.x | 0, at.y | 0, k) : null;
    stage.showOutlines({ every: false, region });
    replace(reading, read(now, at, region, k));
  }

  function read({ place }, at, region, k) {
    if (place === null) return "Point at a picture to mark the place in all.";
    if (at === null) return "This model did not see the place.";
    if (k < 0) return "No values of this class.";
    const own = (value) =>
      h("strong", { class: value < 0 ? "against" : "for" }, formatSigned(value));
    if (region === null) {
      if (regions) return "No region here.";
      return [own(result.sums[k][(at.y | 0) * width + (at.x | 0)]), " of this pixel"];
    }
    const { value, low, high, rank } = regions.credit[k].of(region);
    const shown = low === null ? formatSigned(value) : formatInterval(value, low, high);
    return [
      h("strong", { class: value < 0 ? "against" : "for" }, shown),
      ` of region ${formatNumber(region)}, rank ${formatNumber(rank)} of ${formatNumber(regions.count)}`,
    ];
  }

  const placeOf = (event) => {
    const { x, y } = stage.pixelAt(event);
    return places.from(item, x + 0.5, y + 0.5);
  };
  element.addEventListener("pointermove", (event) => {
    if (!view.value.pinned && event.pointerType !== "touch") view.set({ place: placeOf(event) });
  });
  element.addEventListener("pointerleave", () => view.value.pinned || view.set({ place: null }));
  element.addEventListener("click", (event) => {
    const release = view.value.pinned;
    view.set({ place: placeOf(event), pinned: !release });
  });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") view.set({ place: null, pinned: false });
    if (!(event.key in DIRECTIONS)) return;
    event.preventDefault();
    const now = (view.value.place && places.to(item, view.value.place)) ?? {
      x: width / 2,
      y: height / 2,
    };
    const [dx, dy] = DIRECTIONS[event.key];
    const inside = (at, size) => Math.min(Math.max(Math.floor(at), 0), size - 1) + 0.5;
    const step = (size) => Math.max(1, Math.round((STEP * size) / view.value.zoom));
    const x = inside(now.x + dx * step(width), width);
    const y = inside(now.y + dy * step(height), height);
    view.set({ place: places.from(item, x, y), pinned: true });
  });
  return h(
    "figure",
    { class: "card pane", "aria-label": `${letter}: ${nameOf(document)}` },
    h(
      "figcaption",
      {},
      h("span", { class: "badge" }, letter),
      " ",
      h("a", { href: `#/explanations/${document.id}` }, nameOf(document)),
      h("br"),
      h("span", { class: "muted small" }, `${modelsOf(document)} · ${document.settings.method}`),
    ),
    element,
    head,
    reading,
    scale,
  );
}

const nameOf = ({ image, outputs }) => image.name ?? labelOf(outputs[0]);

// The value of full colour. With one scale for all, what is equal is credit for the same share of
// the picture: a pixel of a small picture stands for more than one of a large picture.
function boundOf(item, items, { label, scale, percentile }) {
  if (scale === "own") return limit(item.result.magnitudes(outputOf(item, label)), percentile);
  const density = ({ result }) => result.width * result.height;
  const bounds = items
    .filter((each) => outputOf(each, label) >= 0)
    .map(
      (each) => density(each) * limit(each.result.magnitudes(outputOf(each, label)), percentile),
    );
  return Math.max(...bounds) / density(item);
}
