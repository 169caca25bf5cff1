// The picture behind the number: the model's input, with the masker's fill where regions are hidden.
import { h } from "../lib/dom.js";
import { saveBlob } from "../lib/save.js";
import { inWords, textOf } from "./coalitions.js";

export function maskedPicture({ id, settings }, { width, height, regions }, view) {
  const canvas = h("canvas", { width, height, class: "masked", role: "img" });
  canvas.style.aspectRatio = `${width} / ${height}`;
  const state = h("span", { class: "muted small" });
  const save = h(
    "button",
    {
      type: "button",
      class: "quiet small",
      on: {
        click: () => {
          const name = `${id}-${textOf(view.value.hidden, regions.count).replace("=", "-")}`;
          canvas.toBlob((blob) => saveBlob(blob, `${name.slice(0, 120)}.png`));
        },
      },
    },
    "Save this picture",
  );
  view.watch(({ picture, hidden, problem }, changed) => {
    if (!["picture", "hidden", "problem"].some((name) => changed.includes(name))) return;
    const failed = problem?.of === "picture";
    state.textContent = picture ? "" : failed ? "missing" : "being painted…";
    canvas.classList.toggle("stale", !picture);
    save.disabled = !picture;
    if (!picture) return;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    const words = inWords(hidden, regions.count).toLowerCase();
    canvas.setAttribute("aria-label", `What the model got. Regions: ${words}.`);
  });
  return h(
    "figure",
    { class: "what-if-figure" },
    h("figcaption", {}, h("strong", {}, "What the model got"), " ", state),
    canvas,
    h(
      "p",
      { class: "muted small" },
      `Hidden parts are filled by the masker ${settings.masker}. `,
      save,
    ),
  );
}
