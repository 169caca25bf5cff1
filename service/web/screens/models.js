// The models that the server has, as cards.
import { h, replace } from "../lib/dom.js";
import { getJson, sentence } from "../lib/api.js";
import { formatNumber } from "../lib/numbers.js";

export async function show(main, { signal }) {
  replace(main, h("p", { class: "muted" }, "Loading the models…"));
  const { items } = await getJson("v1/models", { signal });
  replace(
    main,
    h("h1", {}, "Models"),
    items.length
      ? h("div", { class: "cards" }, items.map(card))
      : h("p", {}, "The server knows no model yet. Whoever runs it has to start a worker."),
  );
}

function card(model) {
  const status = { available: "fine", loading: "note", unavailable: "caution" }[model.status];
  const [height, width, channels] = model.input_shape ?? [];
  const facts = [
    ["Input", height && `${width} × ${height} pixels, ${channels === 1 ? "grey" : "colour"}`],
    ["Outputs", model.output_count && formatNumber(model.output_count)],
    [
      "Photos are",
      {
        crop: "cropped to its shape",
        stretch: "stretched to its shape",
        pad: "padded to its shape",
      }[model.fit],
    ],
    ["Trained on", model.data],
    ["Accuracy", model.accuracy],
    ["Limits", model.limits],
    ["Licence", model.license],
    [
      "Runs on",
      model.backend && [model.backend, model.device, model.dtype].filter(Boolean).join(", "),
    ],
    ["Preprocessing", model.preprocessing],
    ["Fingerprint", model.fingerprint && h("code", {}, model.fingerprint)],
  ];
  return h(
    "article",
    { class: "card model-card" },
    h(
      "h2",
      {},
      model.name,
      " ",
      model.default ? h("span", { class: "badge" }, "default") : null,
      " ",
      h("span", { class: `badge ${status}` }, model.status),
    ),
    model.reason ? h("p", {}, sentence(model.reason)) : null,
    model.description ? h("p", {}, model.description) : null,
    model.warnings.map(({ detail }) => h("p", { class: "caution-text" }, sentence(detail))),
    h(
      "dl",
      {},
      facts
        .filter(([, value]) => value)
        .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    h(
      "p",
      { class: "row" },
      model.status === "available"
        ? h(
            "a",
            { class: "button", href: `#/new?model=${encodeURIComponent(model.name)}` },
            "Explain a picture by it",
          )
        : null,
      h(
        "a",
        { href: `#/explanations?model=${encodeURIComponent(model.name)}` },
        "Its explanations",
      ),
    ),
  );
}
