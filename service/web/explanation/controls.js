// How the heat is drawn. Nothing here asks the server.
import { h, newId } from "../lib/dom.js";
import { PALETTES, levelsOf, limit } from "../lib/colours.js";
import { isDifference, spanning } from "../lib/comparison.js";
import { formatNumber } from "../lib/numbers.js";

export function controls(result, document, view) {
  const several = document.outputs.length > 1;
  const roomy = matchMedia("(min-width: 60rem)").matches; // on phones the regions come sooner
  return h(
    "section",
    { class: "card", "aria-label": "Drawing" },
    legend(result, document, view),
    h(
      "details",
      { open: roomy },
      h("summary", {}, "How it is drawn"),
      h(
        "div",
        { class: "controls" },
        slider(
          "Opacity",
          { min: 0, max: 1, step: 0.01 },
          "opacity",
          (value) => `${Math.round(100 * value)} %`,
          view,
        ),
        slider(
          "Colours span",
          { min: 50, max: 100, step: 0.1 },
          "percentile",
          (value) => `${value.toFixed(1)} % of pixels`,
          view,
        ),
        choice("Picture", "ground", { grey: "in grey", colour: "in colour", none: "hidden" }, view),
        palettes(view),
        several
          ? choice("Scale", "scale", { own: "of this output", shared: "the same for all" }, view)
          : null,
        result.regions ? outlinesSwitch(view) : null,
      ),
    ),
  );
}

// Each of these controls sets the value `name` of `view`.
export function slider(label, range, name, written, view) {
  const id = newId(name);
  const input = h("input", {
    type: "range",
    id,
    ...range,
    on: { input: () => view.set({ [name]: Number(input.value) }) },
  });
  const shown = h("output", { for: id });
  view.watch((now, changed) => {
    if (!changed.includes(name)) return;
    input.value = now[name];
    shown.textContent = written(now[name]);
    input.setAttribute("aria-valuetext", shown.textContent);
  });
  return h("div", { class: "control" }, h("label", { for: id }, label), input, shown);
}

// read: makes the value of a chosen option.
export function choice(label, name, options, view, read = String) {
  const id = newId(name);
  const select = h(
    "select",
    { id, on: { change: () => view.set({ [name]: read(select.value) }) } },
    Object.entries(options).map(([value, text]) => h("option", { value }, text)),
  );
  view.watch((now, changed) => {
    if (changed.includes(name)) select.value = now[name];
  });
  return h("div", { class: "control" }, h("label", { for: id }, label), select);
}

export function palettes(view) {
  const titles = Object.entries(PALETTES).map(([name, { title }]) => [name, title]);
  return choice("Colours", "palette", Object.fromEntries(titles), view);
}

function outlinesSwitch(view) {
  const id = newId("outlines");
  const box = h("input", {
    type: "checkbox",
    id,
    checked: true,
    on: { change: () => view.set({ outlines: box.checked }) },
  });
  return h("div", { class: "control" }, h("label", { for: id }, "Outlines of regions"), box);
}

// The scale of colours, with the value at its ends.
function legend(result, document, view) {
  const canvas = h("canvas", { width: 256, height: 1, class: "legend-bar", "aria-hidden": true });
  const [least, most] = [h("span", {}), h("span", {})];
  view.watch((now, changed) => {
    if (changed.includes("palette")) {
      const image = new ImageData(256, 1);
      image.data.set(levelsOf(PALETTES[now.palette]));
      canvas.getContext("2d").putImageData(image, 0, 0);
    }
    const bound = limit(result.magnitudes(spanning(now, document)), now.percentile);
    const { positiveName, negativeName } = PALETTES[now.palette];
    const [less, more] = isDifference(document.outputs[now.output])
      ? [`more by ${document.compared.name}`, `more by ${document.model.name}`]
      : ["against", "for"];
    least.textContent = `${negativeName}, ${less}: ${formatNumber(-bound, 2)}`;
    most.textContent = `${positiveName}, ${more}: ${formatNumber(bound, 2)} a pixel`;
  });
  return h(
    "div",
    { class: "legend" },
    canvas,
    h("div", { class: "legend-ends small" }, least, most),
  );
}
