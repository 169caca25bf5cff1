// The heat of the chosen output, and its regions by pointer and keyboard.
import { limit } from "../lib/colours.js";
import { spanning } from "../lib/comparison.js";
import { DIRECTIONS, regionAt, stageOf } from "../stage/stage.js";

export function heatView(result, document, view) {
  const { width, height, regions } = result;
  const stage = stageOf(result, {
    tabindex: "0",
    role: "application",
    "aria-roledescription": "heatmap",
    "aria-label":
      "Heatmap. Arrow keys go from region to region, Home to the one of most credit, Enter keeps it, Escape lets it go.",
    "aria-describedby": "readout",
  });
  const { element } = stage;
  element.style.maxWidth = `min(42rem, ${(62 * width) / height}vh)`; // leaves room for what is told of a region

  view.watch((now, changed) => {
    const any = (...names) => names.some((name) => changed.includes(name));
    if (any("ground")) stage.showGround(now.ground);
    if (any("opacity")) stage.showOpacity(now.opacity);
    if (any("output", "percentile", "scale", "palette")) {
      const magnitudes = result.magnitudes(spanning(now, document));
      stage.showHeat(result.shown[now.output], limit(magnitudes, now.percentile), now.palette);
    }
    if (any("region", "outlines")) stage.showOutlines({ every: now.outlines, region: now.region });
  });

  if (regions) {
    const at = (event) => {
      const { x, y } = stage.pixelAt(event);
      return regionAt(regions, width, x, y, view.value.output);
    };
    element.addEventListener("pointermove", (event) => {
      if (!view.value.pinned && event.pointerType !== "touch") view.set({ region: at(event) });
    });
    element.addEventListener("pointerleave", () => view.value.pinned || view.set({ region: null }));
    element.addEventListener("click", (event) => {
      const region = at(event);
      const again = view.value.pinned && view.value.region === region;
      view.set({ region: again ? null : region, pinned: !again && region !== null });
    });
    element.addEventListener("keydown", (event) => {
      const next = keyed(event.key, regions, view.value);
      if (next === undefined) return;
      event.preventDefault();
      view.set(next);
    });
  }
  return element;
}

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
