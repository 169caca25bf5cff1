// Where in the upload the model looked: the file that was sent, with the heat where it was seen, and
// the rest dimmed.
import { spanning } from "../lib/comparison.js";
import { h, replace } from "../lib/dom.js";
import { getBlob } from "../lib/api.js";
import { LEVELS, limit, paint } from "../lib/colours.js";
import { shortFailure } from "../lib/failure.js";
import { saveBlob } from "../lib/save.js";

const SHOWN = ["JPEG", "PNG", "WEBP", "BMP", "AVIF"]; // by every browser, as the model saw it
const MOST_BYTES = 1_000_000; // of a file; in place of a larger one a small picture is shown
const SIZE = 512; // pixels of that

export function uploadView(document, result, view, signal) {
  const { id, image, label_map, crop, placement, settings } = document;
  const path = `v1/explanations/${id}`;
  const place = h("div", { class: "upload-picture" }, "Loading the picture…");
  const problem = h("p", { class: "field-error", role: "alert" });
  const asSent = SHOWN.includes(image.format) && image.bytes <= MOST_BYTES;
  getBlob(asSent ? `${path}/picture` : `${path}/thumbnail.png?size=${SIZE}`, { signal }).then(
    (blob) => {
      const src = URL.createObjectURL(blob);
      signal.addEventListener("abort", () => URL.revokeObjectURL(src), { once: true });
      const picture = h("img", { src, alt: "The upload" });
      const stage = h("div", { class: "upload-stage" }, picture, seenPart());
      stage.style.aspectRatio = `${image.width} / ${image.height}`;
      stage.style.maxWidth = `min(30rem, ${(24 * image.width) / image.height}rem)`;
      view.watch(({ ground }, changed) => {
        if (changed.includes("ground")) picture.dataset.ground = ground;
      });
      replace(place, stage);
    },
    (error) =>
      signal.aborted || replace(place, h("p", { class: "field-error" }, shortFailure(error))),
  );

  // The heat, and around it a shadow on what the model did not see.
  function seenPart() {
    const { width, height } = result;
    const [across, down] = [placement.right - placement.left, placement.bottom - placement.top];
    const canvas = h("canvas", { width: across, height: down, "aria-hidden": true });
    const box = h("div", { class: "seen" }, canvas);
    box.style.left = `${(100 * crop.left) / image.width}%`;
    box.style.top = `${(100 * crop.top) / image.height}%`;
    box.style.width = `${(100 * (crop.right - crop.left)) / image.width}%`;
    box.style.height = `${(100 * (crop.bottom - crop.top)) / image.height}%`;
    const painted = new ImageData(width, height);
    view.watch((now, changed) => {
      if (changed.includes("opacity")) canvas.style.opacity = now.opacity;
      if (!["output", "percentile", "scale", "palette"].some((name) => changed.includes(name)))
        return;
      const bound = limit(result.magnitudes(spanning(now, document)), now.percentile);
      paint(result.shown[now.output], bound, LEVELS[now.palette], painted.data);
      canvas.getContext("2d").putImageData(painted, -placement.left, -placement.top);
    });
    return box;
  }

  async function save(button, file, name) {
    button.disabled = true;
    problem.textContent = "";
    try {
      saveBlob(await getBlob(`${path}/${file}`, { signal }), name);
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
    button.disabled = false;
  }

  const download = (title, file, name) => {
    const button = h(
      "button",
      { type: "button", on: { click: () => save(button, file, name) } },
      title,
    );
    return button;
  };
  const [across, down] = [crop.right - crop.left, crop.bottom - crop.top];
  const whole = across === image.width && down === image.height;
  const said = whole
    ? `The model saw all of it (fit: ${settings.fit}).`
    : `The model saw ${across} × ${down} pixels of it, from ${crop.left}, ${crop.top} (fit: ${settings.fit}). The dimmed rest is not explained.`;
  return h(
    "section",
    { class: "card", "aria-label": "Upload" },
    h("h2", {}, "In the upload"),
    h(
      "p",
      { class: "muted small" },
      image.name ? [h("span", { class: "file-name" }, image.name), ": "] : null,
      `${image.format}, ${image.width} × ${image.height} pixels. ${said}`,
    ),
    place,
    h(
      "div",
      { class: "row" },
      download("Picture as it was sent", "picture", image.name ?? `${id}-picture`),
      label_map ? download("Label map as it was sent", "label_map", `${id}-label_map`) : null,
    ),
    problem,
  );
}
