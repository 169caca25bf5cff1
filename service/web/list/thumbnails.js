// Loads small pictures, with or without their heat, when they come into sight, a few at a time.
import { h, replace } from "../lib/dom.js";
import { getBlob } from "../lib/api.js";

const AT_ONCE = 4;
const SIZE = 240; // pixels

const NAME = "shapshot-heat"; // "on": pictures are shown with their heat

const withHeat = () => localStorage.getItem(NAME) === "on";

// onChange: draws all pictures anew.
export function heatSwitch(onChange) {
  const box = h("input", {
    type: "checkbox",
    checked: withHeat(),
    on: {
      change: () => {
        localStorage.setItem(NAME, box.checked ? "on" : "off");
        onChange();
      },
    },
  });
  return h("label", { class: "check" }, box, " Heat of the top class");
}

// Returns `load(place, document)`: shows the picture of an explanation.
export function thumbnails(signal) {
  const jobs = [];
  let running = 0;

  async function next() {
    if (running === AT_ONCE || jobs.length === 0) return;
    running += 1;
    await draw(...jobs.shift());
    running -= 1;
    next();
  }

  async function draw(place, { id, done, outputs }) {
    const heat = withHeat() && done && outputs?.[0];
    const drawn = heat ? `heatmap.png?style=overlay&output=${heat.index}&` : "thumbnail.png?";
    try {
      const path = `v1/explanations/${id}/${drawn}size=${SIZE}`;
      const src = URL.createObjectURL(await getBlob(path, { signal }));
      signal.addEventListener("abort", () => URL.revokeObjectURL(src), { once: true });
      replace(place, h("img", { src, alt: "" }));
    } catch {
      replace(place, h("span", { class: "muted" }, "no picture"));
    }
  }

  const wanted = new WeakMap();
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        jobs.push([target, wanted.get(target)]);
        next();
      }
    },
    { rootMargin: "200px" },
  );
  signal.addEventListener("abort", () => seen.disconnect(), { once: true });
  return (place, document) => {
    wanted.set(place, document);
    seen.observe(place);
  };
}
