// The picture as the model saw it, and on it heat and outlines: canvases one above the other.
//
// Opacity is left to CSS; heat is one canvas of the model's size, repainted as a whole; only
// outlines are drawn at the size of the screen, and anew when it changes.
import { LEVELS, paint } from "../lib/colours.js";
import { h } from "../lib/dom.js";
import { drawOutlines } from "../lib/outlines.js";

// Of the arrow keys: how far right and down.
export const DIRECTIONS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

// result: of loadResult. attributes: of the element, such as its role and name.
//
// `layers` holds the canvases, to be zoomed. showHeat(values, bound, palette): of each pixel, in
// float32, and the value of full colour; values null: no heat. showOutlines({every, region}): of
// every region, and of one, a number or null. pixelAt(event): {x, y} of a pointer's event.
export function stageOf(result, attributes) {
  const { width, height, picture, regions } = result;
  const canvas = (name, size) => h("canvas", { class: name, "aria-hidden": true, ...size });
  const [ground, heat] = ["ground", "heat"].map((name) => canvas(name, { width, height }));
  const [lines, chosen] = ["lines", "chosen"].map((name) => canvas(name, {}));
  const layers = h("div", { class: "layers" }, ground, heat, lines, chosen);
  const element = h("div", { class: "stage", ...attributes }, layers);
  element.style.aspectRatio = `${width} / ${height}`;
  const painted = new ImageData(width, height);
  let outlines = { every: false, region: null };
  const drawn = new Map(); // by canvas: the outline that it shows, and at which size

  function outline(on, what, look) {
    const box = layers.getBoundingClientRect(); // as it is zoomed
    const sides = [box.width, box.height].map((side) => Math.round(side * devicePixelRatio));
    const state = `${what} ${sides}`;
    if (!regions || sides[0] === 0 || drawn.get(on) === state) return;
    drawn.set(on, state);
    [on.width, on.height] = sides; // clears it
    if (what === "none") return;
    const region = what === "every" ? null : what;
    const context = on.getContext("2d");
    for (const [colour, thickness] of look)
      drawOutlines(context, result, region, { colour, width: thickness * devicePixelRatio });
  }

  function drawLines() {
    outline(lines, outlines.every ? "every" : "none", [["rgb(0 0 0 / 0.35)", 1]]);
    outline(chosen, outlines.region ?? "none", [
      ["#fff", 5],
      ["#000", 2],
    ]);
  }
  if (regions) new ResizeObserver(drawLines).observe(layers);

  return {
    element,
    layers,
    showGround: (name) => drawGround(ground, picture, name),
    showOpacity: (opacity) => (heat.style.opacity = opacity),
    showHeat(values, bound, palette) {
      heat.hidden = values === null;
      if (heat.hidden) return;
      paint(values, bound, LEVELS[palette], painted.data);
      heat.getContext("2d").putImageData(painted, 0, 0);
    },
    showOutlines(shown) {
      outlines = shown;
      drawLines();
    },
    pixelAt(event) {
      const box = layers.getBoundingClientRect();
      return {
        x: Math.floor(((event.clientX - box.left) / box.width) * width),
        y: Math.floor(((event.clientY - box.top) / box.height) * height),
      };
    },
  };
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
