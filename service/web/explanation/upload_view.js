// Where in the upload the model looked: the server's overlay, which hatches what was cut off.
import { h, replace } from "../lib/dom.js";
import { getBlob } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";

const WIDTH = 480; // pixels of the drawing

export function uploadView({ id, image, crop, settings, outputs }, signal) {
  const place = h("div", { class: "upload-picture" }, "Loading the picture…");
  const width = Math.min(WIDTH, image.width);
  const query = new URLSearchParams({ style: "overlay", size: width, output: outputs[0].index });
  getBlob(`v1/explanations/${id}/heatmap.png?${query}`, { signal }).then(
    (blob) => {
      const src = URL.createObjectURL(blob);
      signal.addEventListener("abort", () => URL.revokeObjectURL(src), { once: true });
      replace(
        place,
        h("img", {
          src,
          alt: `The upload in grey with the heat of ${outputs[0].label} on the part that the model saw`,
        }),
      );
    },
    (error) =>
      signal.aborted || replace(place, h("p", { class: "field-error" }, shortFailure(error))),
  );
  const [across, down] = [crop.right - crop.left, crop.bottom - crop.top];
  const whole = across === image.width && down === image.height;
  const said = whole
    ? `The model saw all of it (fit: ${settings.fit}).`
    : `The model saw ${across} × ${down} pixels of it, from ${crop.left}, ${crop.top} (fit: ${settings.fit}). The hatched rest is not explained.`;
  return h(
    "section",
    { class: "card", "aria-label": "Upload" },
    h("h2", {}, "In the upload"),
    h(
      "p",
      { class: "muted small" },
      `${image.format}, ${image.width} × ${image.height} pixels. ${said}`,
    ),
    place,
  );
}
