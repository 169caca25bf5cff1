// A button that fetches a file with the key and saves it.
import { h } from "../lib/dom.js";
import { getBlob } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { saveBlob } from "../lib/save.js";

// from: () => path. problem: the element that says why it could not be saved.
export function saveButton([title, from, name], problem, signal) {
  const button = h("button", { type: "button", on: { click: save } }, title);

  async function save() {
    button.disabled = true;
    problem.textContent = "";
    try {
      saveBlob(await getBlob(from(), { signal }), name);
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
    button.disabled = false;
  }
  return button;
}
