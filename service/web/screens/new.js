// The form that asks for explanations: pictures, settings, and what it will cost.
import { h, replace } from "../lib/dom.js";
import { Refused, getJson, postJson, sentence } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { keepPicture } from "../lib/pictures.js";
import { randomKey } from "../lib/random_key.js";
import { requestCode } from "../lib/request_code.js";
import { sentFiles } from "../explanation/ask_again.js";
import { costLine } from "../new/cost.js";
import { pictureInput } from "../new/picture_input.js";
import { settingsForm } from "../new/settings_form.js";
import { trueLabels } from "../new/true_labels.js";

let draft = null; // {files, settings, labels} of the form when it was left, for whoever comes back

export async function show(main, { query, signal }) {
  replace(main, h("p", { class: "muted" }, "Loading methods and models…"));
  const from = query.get("from");
  const [methods, models, earlier] = await Promise.all([
    getJson("v1/methods", { signal }),
    getJson("v1/models", { signal }),
    from ? getJson(`v1/explanations/${encodeURIComponent(from)}`, { signal }) : null,
  ]);
  let lost = null; // why the files cannot be sent again
  const sent =
    earlier &&
    (await sentFiles(earlier, signal).catch((error) => {
      if (signal.aborted) throw error;
      lost = error;
      return null;
    }));
  const kept = from ? null : draft;
  const wanted = { ...(earlier?.settings ?? kept?.settings) };
  if (earlier) delete wanted.priority; // that of a batch would put a single picture behind others
  if (query.get("model")) wanted.model = query.get("model");

  const settings = settingsForm(methods.items, models.items, wanted);
  const modelName = () => settings.read().model?.name ?? settings.read().model;
  const labels = kept?.labels ?? new Map([[sent?.picture, wanted.true_label]]);
  const truths = trueLabels(modelName, labels, signal);
  const pictures = pictureInput(truths, signal);
  const problem = h("p", { class: "field-error", role: "alert", id: "form-problem" });
  const send = h("button", { class: "primary", type: "submit" }, "Explain");
  const cost = costLine(methods.items, models.items, signal);
  const asked = () => ({ ...settings.read(), ...truths.read(pictures.files) });
  const labelMap = () =>
    settings.labelMap() ??
    (settings.read().superpixels?.kind === "labels" ? sent?.labelMap : null) ??
    null;
  const code = requestCode(() => ({
    settings: asked(),
    names: pictures.files.length ? pictures.files.map(({ name }) => name) : ["picture.jpg"],
    labelMap: labelMap()?.name ?? null,
  }));
  const changed = () => {
    cost.show(settings.read(), pictures.files.length);
    code.update();
  };
  pictures.element.addEventListener("change", changed);
  pictures.element.addEventListener("input", code.update);
  settings.element.addEventListener("input", changed);
  settings.element.addEventListener("change", changed);

  const form = h(
    "form",
    { class: "new-form", novalidate: true, on: { submit: onSubmit } },
    h(
      "div",
      { class: "new-grid" },
      h(
        "section",
        { class: "card", "aria-label": "Picture" },
        h("h2", {}, "Picture"),
        lost
          ? h("p", { class: "caution-text" }, `Choose the picture again: ${shortFailure(lost)}`)
          : null,
        pictures.element,
      ),
      h(
        "section",
        { class: "card", "aria-label": "Settings" },
        h("h2", {}, "Settings"),
        h("p", { class: "muted small" }, "Everything has a default; change what you like."),
        sent?.labelMap
          ? h("p", { class: "muted small" }, "The label map is the one that was sent, unless you choose another.")
          : null,
        settings.element,
      ),
    ),
    h("div", { class: "send-bar" }, cost.element, send),
    problem,
    h("section", { class: "card" }, code.element),
  );
  replace(main, h("h1", {}, earlier ? "Ask again with one change" : "Explain a picture"), form);
  const files = earlier ? [sent?.picture].filter(Boolean) : (kept?.files ?? []);
  pictures.add(files);
  changed();
  let done = false;
  signal.addEventListener(
    "abort",
    () => {
      draft = done ? null : { files: pictures.files, settings: settings.read(), labels: truths.texts() };
    },
    { once: true },
  );

  async function onSubmit(event) {
    event.preventDefault();
    problem.textContent = "";
    settings.clearErrors();
    pictures.setError("");
    truths.clearErrors();
    if (pictures.files.length === 0) {
      pictures.setError("Choose a picture first.");
      return;
    }
    send.disabled = true;
    try {
      const body = new FormData();
      for (const file of pictures.files) body.append("image", file, file.name);
      body.append("settings", JSON.stringify(asked()));
      const regions = labelMap();
      if (regions) body.append("label_map", regions, regions.name);
      const several = pictures.files.length > 1;
      const headers = { "Idempotency-Key": randomKey() };
      const made = await postJson(several ? "v1/batches" : "v1/explanations", {
        body,
        headers,
        signal,
      });
      done = true;
      if (several) {
        made.explanations.forEach(({ id, position }) => keepPicture(id, pictures.files[position]));
        location.hash = `/batches/${made.id}`;
      } else {
        keepPicture(made.id, pictures.files[0]);
        location.hash = `/explanations/${made.id}`;
      }
    } catch (error) {
      if (signal.aborted) return;
      tell(error);
    }
    send.disabled = false;
  }

  // A problem stands beside the field that it is about, else beside the button.
  function tell(error) {
    const told = shortFailure(error);
    const field = error instanceof Refused ? (error.problem.field ?? "") : "";
    const said = sentence((error.problem?.detail ?? told).replace(/^settings\.[\w.]+: /, ""));
    if (/^images?\b/.test(field) || error.problem?.code === "invalid_image") {
      const position = Number(field.match(/^images\.(\d+)/)?.[1] ?? 0);
      const name = pictures.files.length > 1 ? `${pictures.files[position]?.name}: ` : "";
      pictures.setError(name + told);
    } else if (/^settings\.true_labels?/.test(field)) {
      const position = Number(field.match(/\d+$/)?.[0] ?? 0);
      truths.setError(pictures.files[position], said);
    } else if (!settings.setError(field, said)) {
      problem.textContent = told;
    }
  }
}
