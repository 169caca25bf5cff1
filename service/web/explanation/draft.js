// The picture of an explanation that runs, and on it the heat so far, as previews bring it.
import { h, replace } from "../lib/dom.js";
import { getBlob } from "../lib/api.js";
import { LEVELS, PALETTES, limit, magnitudesOf, paint } from "../lib/colours.js";
import { halvesToNumbers } from "../lib/npz.js";
import { formatNumber } from "../lib/numbers.js";
import { pictureOf } from "../lib/pictures.js";
import { drawGround } from "../stage/stage.js";

const SIDE = 512; // pixels of the longer side
const PERCENTILE = 99.9; // as the result is drawn first
const PALETTE = "red_blue";

// Returns {element, show, clear}: `show` takes a preview, `clear` removes its heat.
export function draft({ id, image }, signal) {
  const ground = h("canvas", { class: "ground", "aria-hidden": true });
  const heat = h("canvas", { class: "heat", "aria-hidden": true });
  const stage = h(
    "div",
    { class: "stage", role: "img", "aria-label": "The picture" },
    ground,
    heat,
  );
  const said = h("figcaption", { class: "muted small" });
  const select = h("select", { on: { change: drawHeat } });
  const choice = h("label", { class: "row", hidden: true }, "Output", select);
  const whole = { left: 0, top: 0, right: image.width, bottom: image.height };
  let picture = null;
  let shown = null; // the preview
  let seen = { crop: whole, across: image.width, down: image.height, style: "colour" };

  photoOf(id, signal).then(
    (found) => {
      picture = found;
      drawPicture();
    },
    (error) => signal.aborted || console.warn(error), // the heat is worth showing without it
  );

  // Draws what the model sees of the picture, as large as the stage and of its proportions.
  function drawPicture() {
    const { crop, across, down, style } = seen;
    const scale = SIDE / Math.max(across, down);
    [ground.width, ground.height] = [across, down].map((side) =>
      Math.max(1, Math.round(side * scale)),
    );
    stage.style.aspectRatio = `${across} / ${down}`;
    stage.style.maxWidth = `${(24 * across) / Math.max(across, down)}rem`;
    if (!picture) return;
    const shrunk = picture.width / image.width;
    const context = ground.getContext("2d", { willReadFrequently: true });
    const part = [crop.left, crop.top, crop.right - crop.left, crop.bottom - crop.top];
    const from = part.map((length) => length * shrunk);
    context.drawImage(picture, ...from, 0, 0, ground.width, ground.height);
    drawGround(ground, context.getImageData(0, 0, ground.width, ground.height), style);
  }

  function drawHeat() {
    const { rows, columns, heat: encoded, outputs, evaluations, planned } = shown;
    const nth = Math.max(0, select.selectedIndex);
    const values = numbersOf(encoded).subarray(nth * rows * columns, (nth + 1) * rows * columns);
    [heat.width, heat.height] = [columns, rows];
    const painted = new ImageData(columns, rows);
    paint(values, limit(magnitudesOf(values), PERCENTILE), LEVELS[PALETTE], painted.data);
    heat.getContext("2d").putImageData(painted, 0, 0);
    const { positiveName, negativeName } = PALETTES[PALETTE];
    const { label } = outputs[nth];
    const count = `${formatNumber(evaluations)} of ${formatNumber(planned)} evaluations`;
    const made = evaluations < planned ? `Draft after ${count}` : `All ${count} made`;
    said.textContent = `${made}: ${positiveName} raises the score of ${label}, ${negativeName} lowers it.`;
    stage.setAttribute("aria-label", `The picture with a draft of the heat of ${label}`);
  }

  drawPicture();
  return {
    element: h("figure", { class: "draft" }, stage, choice, said),

    show(preview) {
      const { crop, rows, columns, cell, outputs } = preview;
      if (seen.style === "colour") {
        seen = { crop, across: columns * cell, down: rows * cell, style: "grey" };
        drawPicture();
      }
      shown = preview;
      if (!select.length) replace(select, outputs.map(({ label }) => h("option", {}, label)));
      choice.hidden = outputs.length < 2;
      drawHeat();
    },

    clear() {
      shown = null;
      replace(select);
      choice.hidden = true;
      heat.width = heat.height = 0;
      said.textContent = "";
    },
  };
}

// The file where it was sent from this tab and the browser reads its format, else what the server
// makes of it.
async function photoOf(id, signal) {
  try {
    return await createImageBitmap(pictureOf(id));
  } catch {
    const small = await getBlob(`v1/explanations/${id}/thumbnail.png?size=${SIDE}`, { signal });
    return createImageBitmap(small);
  }
}

// Decodes base64 of float16, little-endian.
function numbersOf(text) {
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  return halvesToNumbers(new Uint16Array(bytes.buffer));
}
