// What can be done with the selected explanations: compare, download, delete.
import { h, newId, replace } from "../lib/dom.js";
import { getBlob, request } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { plural } from "../lib/numbers.js";
import { saveBlob } from "../lib/save.js";
import { nameOf, selection } from "./selection.js";

const MOST_COMPARED = 4;
const MOST_IN_FIGURE = 32;
const GONE = ["not_found", "gone"]; // to delete these again is no failure

const FILES = {
  npz: ["Arrays (npz)", "attributions?format=npz", ".npz"],
  overlay: ["Overlays (PNG)", "heatmap.png?style=overlay", "-overlay.png"],
  figures: ["Figures (PNG)", "heatmap.png?style=figure", "-figure.png"],
};

// onChange(): after the selection was cleared. onDeleted(): after some were deleted. `update()` is
// to be called after each change of the selection.
export function selectionBar({ signal, onChange, onDeleted }) {
  const count = h("strong", {});
  const said = h("p", { role: "status", class: "bar-said" });
  const problems = h("div", { role: "alert", class: "bar-said" });
  const compare = h("a", { class: "button" }, "Compare");
  const kind = h(
    "select",
    { "aria-label": "Files" },
    Object.entries(FILES).map(([value, [title]]) => h("option", { value }, title)),
    h("option", { value: "figure" }, "One figure of all (PNG)"),
  );
  const download = h("button", { type: "button", on: { click: onDownload } }, "Download");
  const remove = h(
    "button",
    { type: "button", class: "danger", on: { click: onDelete } },
    "Delete…",
  );
  const clear = h("button", { type: "button", class: "quiet", on: { click: onClear } }, "Clear");
  const tools = h("div", { class: "row tight" }, count, compare, kind, download, remove, clear);
  const bar = h(
    "section",
    { class: "selection-bar", "aria-label": "Selection" },
    tools,
    said,
    problems,
  );

  function update() {
    const documents = selection.documents();
    const comparable = documents.filter(({ links }) => links.attributions);
    tools.hidden = documents.length === 0;
    bar.hidden = tools.hidden && !said.textContent && !problems.textContent;
    count.textContent = `${documents.length} selected`;
    const able = comparable.length === documents.length && documents.length >= 2;
    if (able && documents.length <= MOST_COMPARED) {
      compare.href = `#/compare?ids=${documents.map(({ id }) => id).join(",")}`;
      compare.removeAttribute("aria-disabled");
      compare.title = "";
    } else {
      compare.removeAttribute("href");
      compare.setAttribute("aria-disabled", "true");
      compare.title = `Select 2 to ${MOST_COMPARED} that have a result.`;
    }
    download.disabled = comparable.length === 0;
  }

  function onClear() {
    selection.clear();
    tell("");
    onChange();
  }

  function tell(text, failures = []) {
    said.textContent = text;
    replace(
      problems,
      failures.map((each) => h("p", { class: "field-error" }, each)),
    );
    update();
  }

  // Calls `act(document)` for one after the other; returns the sentences of those that failed.
  async function each(documents, doing, act) {
    const failures = [];
    for (const [n, document] of documents.entries()) {
      tell(`${doing} ${n + 1} of ${documents.length}…`, failures);
      try {
        await act(document);
      } catch (error) {
        if (signal.aborted) throw error;
        failures.push(`${nameOf(document)}: ${shortFailure(error)}`);
      }
    }
    return failures;
  }

  // Runs one action at a time.
  async function alone(action) {
    for (const button of [download, remove, clear]) button.disabled = true;
    try {
      await action();
    } catch (error) {
      if (!signal.aborted) tell("", [shortFailure(error)]);
    }
    for (const button of [download, remove, clear]) button.disabled = false;
    update();
  }

  function onDownload() {
    const documents = selection.documents().filter(({ links }) => links.attributions);
    return alone(async () => {
      if (kind.value === "figure") {
        if (documents.length < 2 || documents.length > MOST_IN_FIGURE) {
          tell("", [`A figure shows 2 to ${MOST_IN_FIGURE} explanations that have a result.`]);
          return;
        }
        tell("Drawing the figure…");
        const query = new URLSearchParams(documents.map(({ id }) => ["id", id]));
        saveBlob(await getBlob(`v1/figure.png?${query}`, { signal }), "shapshot-figure.png");
        tell(`Downloaded the figure of ${documents.length}.`);
        return;
      }
      const [, path, ending] = FILES[kind.value];
      const failures = await each(documents, "Downloading", async ({ id }) =>
        saveBlob(await getBlob(`v1/explanations/${id}/${path}`, { signal }), `${id}${ending}`),
      );
      const left = selection.documents().length - documents.length;
      tell(
        `Downloaded ${plural(documents.length - failures.length, "file")}.` +
          (left ? ` ${left} selected without a result.` : ""),
        failures,
      );
    });
  }

  async function onDelete() {
    const documents = selection.documents();
    if (!(await confirmed(documents))) return;
    await alone(async () => {
      let deleted = 0;
      const failures = await each(documents, "Deleting", async ({ id }) => {
        try {
          await request(`v1/explanations/${id}`, { method: "DELETE", signal });
        } catch (error) {
          if (!GONE.includes(error.problem?.code)) throw error;
        }
        selection.drop(id);
        deleted += 1;
      });
      if (deleted) await onDeleted();
      tell(`Deleted ${deleted} of ${documents.length}.`, failures);
    });
  }

  update();
  return { bar, update };
}

// Asks before something is deleted for good.
function confirmed(documents) {
  const title = newId("title");
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": title });
  const shown = documents.slice(0, 5).map(nameOf);
  if (documents.length > 5) shown.push(`and ${documents.length - 5} more`);
  dialog.append(
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: title }, `Delete ${plural(documents.length, "explanation")}?`),
      h("p", {}, `${shown.join("; ")}.`),
      h("p", {}, "Their pictures and results are deleted for good."),
      h(
        "div",
        { class: "row end" },
        h("button", { value: "keep", autofocus: true }, "Keep them"),
        h("button", { value: "delete", class: "danger" }, "Delete"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "delete");
    });
  });
}
