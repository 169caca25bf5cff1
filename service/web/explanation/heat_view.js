// The picture as the model saw it, and on it heat and outlines: canvases one above the other.
//
// Opacity is left to CSS; percentile, scale, palette and output repaint one canvas of the model's
// size; only outlines are drawn at the size of the screen.
import { h } from "../lib/dom.js";
import { PALETTES, levelsOf, limit, paint } from "../lib/colours.js";
import { drawOutlines } from "../lib/outlines.js";

// Of each palette, by its name.
export const LEVELS = Object.fromEntries(
  Object.entries(PALETTES).map(([name, palette]) => [name, levelsOf(palette)]),
);

export function heatView(result, document, view, signal) {
  const { width, height, regions } = result;
  const ground = h("canvas", { width, height, class: "ground", "aria-hidden": true });
  const heat = h("canvas", { width, height, class: "heat", "aria-hidden": true });
  const lines = h("canvas", { class: "lines", "aria-hidden": true });
  const stage = h(
    "div",
    {
      class: "stage",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "heatmap",
      "aria-label":
        "Heatmap. Arrow keys go from region to region, Home to the one of most credit, Enter keeps it, Escape lets it go.",
      "aria-describedby": "readout",
    },
    ground,
    heat,
    lines,
  );
  stage.style.aspectRatio = `${width} / ${height}`;
  stage.style.maxWidth = `min(42rem, ${(62 * width) / height}vh)`; // leaves room for what is told of a region
  const painted = new ImageData(width, height);

  view.watch((now, changed) => {
    if (changed.includes("ground")) drawGround(ground, result.picture, now.ground);
    if (changed.includes("opacity")) heat.style.opacity = now.opacity;
    if (["output", "percentile", "scale", "palette"].some((name) => changed.includes(name))) {
      const magnitudes = result.magnitudes(now.scale === "own" ? now.output : "all");
      paint(
        result.shown[now.output],
        limit(magnitudes, now.percentile),
        LEVELS[now.palette],
        painted.data,
      );
      heat.getContext("2d").putImageData(painted, 0, 0);
    }
    if (changed.includes("region") || changed.includes("outlines")) outline(now);
  });

  function outline(now) {
    const box = lines.getBoundingClientRect();
    if (!regions || box.width === 0) return;
    const scale = devicePixelRatio;
    [lines.width, lines.height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
    const context = lines.getContext("2d");
    if (now.outlines)
      drawOutlines(context, result, null, { colour: "rgb(0 0 0 / 0.35)", width: scale });
    if (now.region !== null) {
      drawOutlines(context, result, now.region, { colour: "#fff", width: 5 * scale });
      drawOutlines(context, result, now.region, { colour: "#000", width: 2 * scale });
    }
  }

  const resized = new ResizeObserver(() => outline(view.value));
  resized.observe(lines);
  signal.addEventListener("abort", () => resized.disconnect(), { once: true });

  if (regions) {
    const at = (event) => {
      const box = stage.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * width);
      const y = Math.floor(((event.clientY - box.top) / box.height) * height);
      return regionAt(regions, width, x, y, view.value.output);
    };
    stage.addEventListener("pointermove", (event) => {
      if (!view.value.pinned && event.pointerType !== "touch") view.set({ region: at(event) });
    });
    stage.addEventListener("pointerleave", () => view.value.pinned || view.set({ region: null }));
    stage.addEventListener("click", (event) => {
      const region = at(event);
      const again = view.value.pinned && view.value.region === region;
      view.set({ region: again ? null : region, pinned: !again && region !== null });
    });
    stage.addEventListener("keydown", (event) => {
      const next = keyed(event.key, regions, view.value);
      if (next === undefined) return;
      event.preventDefault();
      view.set(next);
    });
  }
  return stage;
}

// The region at a pixel; of several, in different channels, the one of most credit. Or null.
export function regionAt({ ids, channels, credit }, width, x, y, output) {
  const at = (y * width + x) * channels;
  let found = null;
  for (const id of ids.subarray(at, at + channels)) {
    if (id < 0) continue;
    if (found === null || credit[output].of(id).rank < credit[output].of(found).rank) found = id;
  }
  return found;
}

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function keyed(key, { centroids, credit, count }, { region, output }) {
  const { order, of } = credit[output];
  if (key === "Escape") return { region: null, pinned: false };
  if (key === "Enter" || key === " ") return { pinned: region !== null };
  if (key === "Home") return { region: order[0], pinned: true };
  if (key === "End") return { region: order[count - 1], pinned: true };
  if (key === "PageDown" || key === "PageUp") {
    const rank = region === null ? 0 : of(region).rank;
    const next = Math.min(Math.max(rank + (key === "PageDown" ? 1 : -1), 1), count);
    return { region: order[next - 1], pinned: true };
  }
  if (!(key in DIRECTIONS)) return undefined;
  if (region === null) return { region: order[0], pinned: true };
  return { region: neighbour(centroids, region, DIRECTIONS[key]), pinned: true };
}

// The nearest region in a direction, rather ahead than aside; itself if there is none.
function neighbour(centroids, region, [dx, dy]) {
  let [best, least] = [region, Infinity];
  centroids.forEach(({ x, y }, other) => {
    const [across, down] = [x - centroids[region].x, y - centroids[region].y];
    const ahead = across * dx + down * dy;
    const aside = Math.abs(across * dy) + Math.abs(down * dx);
    if (other !== region && ahead > 0 && ahead >= aside / 2 && ahead + 2 * aside < least) {
      [best, least] = [other, ahead + 2 * aside];
    }
  });
  return best;
}

// Grey as in the server's overlays: its shadows are lifted, so that both colours stand out.
export function drawGround(canvas, picture, ground) {
  const context = canvas.getContext("2d");
  if (ground === "none") {
    context.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  const image = new ImageData(new Uint8ClampedArray(picture.data), picture.width, picture.height);
  if (ground === "grey") {
    for (let at = 0; at < image.data.length; at += 4) {
      const [red, green, blue] = image.data.subarray(at, at + 3);
      const luminance = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
      image.data.fill(Math.round(90 + (165 * luminance) / 255), at, at + 3);
    }
  }
  context.putImageData(image, 0, 0);
}
