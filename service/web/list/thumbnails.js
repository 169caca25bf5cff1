// Loads small pictures when they come into sight, a few at a time.
import { h, replace } from "../lib/dom.js";
import { getBlob } from "../lib/api.js";

const AT_ONCE = 4;
const SIZE = 240; // pixels

// Returns `load(place, document)`: shows the heat on the picture, or the picture alone.
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

  async function draw(place, { id, links, outputs }) {
    const path = links.heatmap
      ? `heatmap.png?style=overlay&size=${SIZE}&output=${outputs[0].index}`
      : `thumbnail.png?size=${SIZE}`;
    try {
      const src = URL.createObjectURL(await getBlob(`v1/explanations/${id}/${path}`, { signal }));
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
