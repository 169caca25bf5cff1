// The score of the chosen output in one line, which screen readers say when it changes.
import { h, replace } from "../lib/dom.js";
import { formatNumber } from "../lib/numbers.js";

const ROUNDING = 1e-6; // a coalition scored beside others differs from itself alone by about this

// "down 0.310", "up 0.0200" or "unchanged".
export function changeInWords(now, full) {
  const change = now - full;
  if (Math.abs(change) <= ROUNDING * Math.max(1, Math.abs(full))) return "unchanged";
  return `${change < 0 ? "down" : "up"} ${formatNumber(Math.abs(change))}`;
}

export function scoreLine({ outputs, settings }, view) {
  const said = h("p", { class: "what-if-score", role: "status" });
  const wait = h("p", { class: "muted small", role: "status" });
  const [fill, tick] = [h("span", { class: "fill" }), h("span", { class: "tick" })];
  const bar = h("div", { class: "what-if-bar", "aria-hidden": "true" }, fill, tick);
  const probabilities = settings.link !== "logit" && outputs.every(within);
  view.watch(({ output, scores, slow }, changed) => {
    if (changed.includes("slow"))
      wait.textContent = slow
        ? "Waiting for a worker: it has another job, or loads the model. The score comes when it is free; go on choosing meanwhile."
        : "";
    said.classList.toggle("stale", !scores);
    if (!scores || !["scores", "output"].some((name) => changed.includes(name))) return;
    const { label, index, score: full } = outputs[output];
    const [now, change] = [scores[output], changeInWords(scores[output], full)];
    const side = change.startsWith("down") ? "against" : change.startsWith("up") ? "for" : "muted";
    replace(
      said,
      h("span", { class: "what-if-label" }, label || `output ${index}`, " "),
      h("strong", {}, formatNumber(now)),
      ", ",
      h("span", { class: side }, change),
      change === "unchanged" ? null : ` from ${formatNumber(full)}`,
    );
    bar.hidden = !probabilities;
    fill.style.width = `${100 * Math.min(Math.max(now, 0), 1)}%`;
    tick.style.insetInlineStart = `${100 * Math.min(Math.max(full, 0), 1)}%`;
  });
  return h("div", { class: "what-if-top" }, said, bar, wait);
}

const within = ({ score, base_value }) =>
  [score, base_value].every((value) => value >= 0 && value <= 1);
