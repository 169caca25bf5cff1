// The pictures side by side, with the heat of one class, and a place that is marked in all.
import { h, replace, svg } from "../lib/dom.js";
import { limit, paint } from "../lib/colours.js";
import { drawOutlines } from "../lib/outlines.js";
import { formatInterval, formatNumber, formatSigned } from "../lib/numbers.js";
import { LEVELS, drawGround, regionAt } from "../explanation/heat_view.js";
import { labelOf, outputOf } from "./classes.js";

const STEP = 1 / 40; // of the picture, by one press of an arrow key
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

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
  const ground = h("canvas", { width, height, class: "ground", "aria-hidden": true });
  const heat = h("canvas", { width, height, class: "heat", "aria-hidden": true });
  const lines = h("canvas", { class: "lines", "aria-hidden": true });
  const mark = svg(
    "svg",
    { class: "mark", viewBox: "-12 -12 24 24", "aria-hidden": "true" },
    svg("path", { class: "mark-edge", d: "M-11 0H-3M3 0H11M0 -11V-3M0 3V11" }),
    svg("path", { class: "mark-line", d: "M-11 0H-3M3 0H11M0 -11V-3M0 3V11" }),
  );
  const layers = h("div", { class: "layers" }, ground, heat, lines, mark);
  const reading = h("p", {
    class: "reading small",
    id: `reading-${letter}`,
    "aria-live": "polite",
  });
  const stage = h(
    "div",
    {
      class: "stage",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "heatmap",
      "aria-label": `Heatmap ${letter}. Arrow keys move the marked place in all pictures, Escape removes it.`,
      "aria-describedby": reading.id,
    },
    layers,
  );
  stage.style.aspectRatio = `${width} / ${height}`;
  const head = h("p", { class: "small" });
  const scale = h("p", { class: "muted small" });
  const painted = new ImageData(width, height);
  let outlined = null; // region and zoom that are drawn

  view.watch((now, changed) => {
    const any = (...names) => names.some((name) => changed.includes(name));
    const k = outputOf(item, now.label);
    if (any("ground")) drawGround(ground, result.picture, now.ground);
    if (any("opacity")) heat.style.opacity = now.opacity;
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
      heat.hidden = k < 0;
      if (k >= 0) {
        const bound = boundOf(item, items, now);
        paint(result.shown[k], bound, LEVELS[now.palette], painted.data);
        heat.getContext("2d").putImageData(painted, 0, 0);
        scale.textContent = `Full colour at ±${formatNumber(bound, 2)} a pixel`;
      } else scale.textContent = "";
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
    outline(region, now.zoom);
    replace(reading, read(now, at, region, k));
  }

  function outline(region, zoom) {
    const box = stage.getBoundingClientRect();
    if (!regions || box.width === 0 || outlined === `${region} ${zoom}`) return;
    outlined = `${region} ${zoom}`;
    lines.width = Math.round(box.width * zoom * devicePixelRatio);
    lines.height = Math.round(box.height * zoom * devicePixelRatio);
    if (region === null) return;
    const context = lines.getContext("2d");
    drawOutlines(context, result, region, { colour: "#fff", width: 4 * devicePixelRatio });
    drawOutlines(context, result, region, { colour: "#000", width: 2 * devicePixelRatio });
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
    const box = layers.getBoundingClientRect(); // as it is zoomed
    const x = Math.floor(((event.clientX - box.left) / box.width) * width) + 0.5;
    const y = Math.floor(((event.clientY - box.top) / box.height) * height) + 0.5;
    return places.from(item, x, y);
  };
  stage.addEventListener("pointermove", (event) => {
    if (!view.value.pinned && event.pointerType !== "touch") view.set({ place: placeOf(event) });
  });
  stage.addEventListener("pointerleave", () => view.value.pinned || view.set({ place: null }));
  stage.addEventListener("click", (event) => {
    const release = view.value.pinned;
    view.set({ place: placeOf(event), pinned: !release });
  });
  stage.addEventListener("keydown", (event) => {
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
      h("span", { class: "muted small" }, `${document.model.name} · ${document.settings.method}`),
    ),
    stage,
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
