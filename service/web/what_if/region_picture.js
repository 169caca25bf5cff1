// The picture on which regions are hidden and shown again, by pointer, touch or keyboard.
import { h } from "../lib/dom.js";
import { heatView } from "../explanation/heat_view.js";
import { regionAt } from "../stage/stage.js";

// toggle(region): called for the region that is clicked, or current when Space or Enter is pressed.
export function regionPicture(result, document, view, toggle, signal) {
  const { width, height, regions } = result;
  const element = heatView(result, document, view);
  element.setAttribute("aria-roledescription", "picture with regions");
  element.setAttribute(
    "aria-label",
    "Picture. Arrow keys go from region to region, Home to the one of most credit, Space hides the region or shows it again.",
  );
  const shade = h("canvas", { class: "shade", "aria-hidden": true });
  element.querySelector(".lines").before(shade);

  const act = (event, region) => {
    event.preventDefault();
    event.stopPropagation(); // in place of what the heatmap does: keep the region
    if (region !== null) toggle(region);
  };
  element.addEventListener(
    "click",
    (event) => {
      const box = element.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * width);
      const y = Math.floor(((event.clientY - box.top) / box.height) * height);
      const region = regionAt(regions, width, x, y, view.value.output);
      view.set({ region, pinned: false });
      act(event, region);
    },
    { capture: true },
  );
  element.addEventListener(
    "keydown",
    (event) => {
      if (event.key === " " || event.key === "Enter") act(event, view.value.region);
    },
    { capture: true },
  );

  element.addEventListener(
    "pointermove",
    (event) => event.pointerType !== "touch" && view.set({ pinned: false }),
    { capture: true }, // the pointer takes over from the keyboard
  );

  // Hatches what is hidden; where only some channels are, more faintly.
  function hatch() {
    const box = shade.getBoundingClientRect();
    if (box.width === 0) return;
    const { hidden } = view.value;
    const mask = new ImageData(width, height);
    for (let n = 0; n < width * height; n += 1) {
      const ids = regions.ids.subarray(n * regions.channels, (n + 1) * regions.channels);
      const count = ids.reduce((sum, id) => sum + hidden.has(id), 0);
      mask.data[4 * n + 3] = (255 * count) / regions.channels;
    }
    const small = h("canvas", { width, height });
    small.getContext("2d").putImageData(mask, 0, 0);
    const scale = devicePixelRatio;
    [shade.width, shade.height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
    const context = shade.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, shade.width, shade.height);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = context.createPattern(stripes(scale), "repeat");
    context.fillRect(0, 0, shade.width, shade.height);
  }
  view.watch((_, changed) => changed.includes("hidden") && hatch());
  const resized = new ResizeObserver(hatch);
  resized.observe(shade);
  signal.addEventListener("abort", () => resized.disconnect(), { once: true });
  return element;
}

function stripes(scale) {
  const side = Math.round(10 * scale);
  const tile = h("canvas", { width: side, height: side });
  const context = tile.getContext("2d");
  context.fillStyle = "rgb(24 27 34 / 0.9)";
  context.fillRect(0, 0, side, side);
  context.strokeStyle = "rgb(150 156 168 / 0.9)";
  context.lineWidth = 1.5 * scale;
  for (const shift of [-side, 0, side]) {
    context.moveTo(shift, side);
    context.lineTo(shift + side, 0);
  }
  context.stroke();
  return tile;
}
