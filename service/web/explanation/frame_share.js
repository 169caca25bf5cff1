// How much of the credit lies in a frame that a person sets: on the bird, or on the branch?
import { h, newId, replace } from "../lib/dom.js";
import { formatShare } from "../lib/numbers.js";

const FIRST = { left: 25, right: 75, top: 25, bottom: 75 }; // per cent of the picture
const SIDES = { left: "Left edge", right: "Right edge", top: "Upper edge", bottom: "Lower edge" };

// picture: the element of heatView, on which the frame is drawn.
export function frameShare(result, document, view, picture) {
  let frame = { ...FIRST };
  const box = h("div", { class: "frame-box", "aria-hidden": true, hidden: true });
  picture.querySelector(".layers").append(box);
  const said = h("p", { "aria-live": "polite" });
  const inputs = {};
  const sliders = Object.entries(SIDES).map(([side, title]) => {
    const id = newId(side);
    const on = { input: () => set({ ...frame, [side]: Number(inputs[side].value) }) };
    inputs[side] = h("input", { type: "range", id, min: 0, max: 100, step: 1, on });
    return h("div", { class: "control" }, h("label", { for: id }, title), inputs[side]);
  });
  const details = h(
    "details",
    { class: "card", on: { toggle: draw } },
    h("summary", {}, "Credit in a frame"),
    said,
    h(
      "p",
      { class: "muted small" },
      "Set the edges, or hold Shift and drag a frame on the picture, around what you ask about.",
    ),
    h("div", { class: "controls" }, sliders),
  );

  function set(next) {
    const [left, right] = [next.left, next.right].sort((a, b) => a - b);
    const [top, bottom] = [next.top, next.bottom].sort((a, b) => a - b);
    frame = { left, right, top, bottom };
    draw();
  }

  function draw() {
    box.hidden = !details.open;
    if (box.hidden) return;
    for (const side of Object.keys(SIDES)) {
      inputs[side].value = frame[side];
      inputs[side].setAttribute("aria-valuetext", `${Math.round(frame[side])} %`);
    }
    const { left, right, top, bottom } = frame;
    Object.assign(box.style, {
      left: `${left}%`,
      top: `${top}%`,
      width: `${right - left}%`,
      height: `${bottom - top}%`,
    });
    const { label } = document.outputs[view.value.output];
    const { area, positive, negative } = sharesIn(result, view.value.output, frame);
    replace(
      said,
      `In the frame: ${formatShare(area)} of the picture, `,
      h("strong", { class: "for" }, formatShare(positive)),
      ` of what speaks for “${label}” and `,
      h("strong", { class: "against" }, formatShare(negative)),
      " of what speaks against it.",
    );
  }

  const placeOf = (event) => {
    const { left, top, width, height } = picture.getBoundingClientRect();
    const within = (share) => Math.min(Math.max(100 * share, 0), 100);
    return [within((event.clientX - left) / width), within((event.clientY - top) / height)];
  };
  picture.addEventListener("pointerdown", (event) => {
    if (!event.shiftKey) return;
    event.preventDefault();
    details.open = true;
    const [x, y] = placeOf(event);
    const moving = new AbortController();
    const drag = (moved) => {
      const [toX, toY] = placeOf(moved);
      set({ left: x, right: toX, top: y, bottom: toY });
    };
    addEventListener("pointermove", drag, { signal: moving.signal });
    addEventListener("pointerup", () => moving.abort(), { once: true });
  });
  picture.addEventListener(
    "click",
    (event) => event.shiftKey && event.stopImmediatePropagation(), // keeps no region
    { capture: true },
  );
  view.watch((now, changed) => changed.includes("output") && draw());
  return details;
}

// Shares, in 0..1, of the pixels whose middle is in the frame, and of the credit for and against.
function sharesIn({ width, height, sums }, output, { left, right, top, bottom }) {
  const all = { area: width * height, positive: 0, negative: 0 };
  const within = { area: 0, positive: 0, negative: 0 };
  for (let y = 0; y < height; y += 1) {
    const down = (100 * (y + 0.5)) / height;
    for (let x = 0; x < width; x += 1) {
      const across = (100 * (x + 0.5)) / width;
      const value = sums[output][y * width + x];
      const sign = value < 0 ? "negative" : "positive";
      all[sign] += value;
      if (across < left || across > right || down < top || down > bottom) continue;
      within[sign] += value;
      within.area += 1;
    }
  }
  const share = (name) => (all[name] ? Math.min(within[name] / all[name], 1) : 0);
  return { area: share("area"), positive: share("positive"), negative: share("negative") };
}
