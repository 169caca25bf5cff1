// Progress of an explanation that waits or runs, and how to cancel it.
import { modelsOf } from "../lib/comparison.js";
import { h, replace } from "../lib/dom.js";
import { postJson } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { formatNumber, formatSeconds } from "../lib/numbers.js";
import { askAgain } from "./ask_again.js";
import { draft } from "./draft.js";

const SAID = {
  queued: "It waits for a worker.",
  running: "A worker computes it.",
  canceling: "It is being canceled; what was computed by then is kept.",
};

// Returns {onDocument, onPreview}, which take each newer document and preview.
export function showProgress(main, document, signal) {
  const bar = h("progress", { max: "1", value: "0", "aria-label": "Progress" });
  const [said, count, problem] = [
    h("p", { role: "status" }),
    h("p", { class: "muted" }),
    h("p", { class: "field-error", role: "alert" }),
  ];
  const cancel = h("button", { type: "button", on: { click: onCancel } }, "Cancel");
  const drawn = draft(document, signal);
  replace(
    main,
    h("h1", {}, "Explanation in progress"),
    h(
      "section",
      { class: "card progress-card" },
      drawn.element,
      h(
        "div",
        { class: "grow" },
        said,
        bar,
        count,
        h(
          "p",
          { class: "muted small" },
          `${document.settings.method} on ${modelsOf(document)}, ${document.settings.masker}. You may leave this page: it goes on, and is under “Explanations”.`,
        ),
        h("div", { class: "row" }, cancel, askAgain(document)),
        problem,
      ),
    ),
  );

  async function onCancel() {
    cancel.disabled = true;
    try {
      await postJson(`v1/explanations/${document.id}/cancel`, { signal });
    } catch (error) {
      if (signal.aborted) return;
      cancel.disabled = false;
      problem.textContent = shortFailure(error);
    }
  }

  function onDocument({ status, progress: { evaluations, planned, fraction, eta_s }, links }) {
    if (status === "queued") drawn.clear(); // it begins anew
    replace(said, SAID[status]);
    if (status === "queued" && evaluations === 0) bar.removeAttribute("value");
    else bar.value = fraction;
    cancel.disabled ||= !links.cancel;
    const left = eta_s === null ? "" : `, about ${formatSeconds(eta_s)} left`;
    count.textContent = planned
      ? `${formatNumber(evaluations)} of ${formatNumber(planned)} evaluations${left}`
      : "It has not counted its evaluations yet.";
  }

  return { onDocument, onPreview: drawn.show };
}
