// Links to the explanations before and after this one in the list that a person came from; the left
// and right arrow keys follow them, where nothing else takes these keys.
import { h } from "../lib/dom.js";
import { placeInSequence } from "../lib/sequence.js";

const TAKES_ARROWS =
  "input, select, textarea, table, dialog, [role='application'], [role='region']";

export function neighbours(id, signal) {
  const place = placeInSequence(id);
  if (!place) return null;
  const { previous, next, position, count, address } = place;
  const link = (to, text, rel) =>
    to
      ? h("a", { href: `#/explanations/${to}`, rel }, text)
      : h("span", { class: "muted", "aria-hidden": true }, text);
  addEventListener(
    "keydown",
    (event) => {
      const to = { ArrowLeft: previous, ArrowRight: next }[event.key];
      const modified = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
      if (!to || modified || event.target.closest?.(TAKES_ARROWS)) return;
      event.preventDefault();
      location.hash = `/explanations/${to}`;
    },
    { signal },
  );
  return h(
    "nav",
    { class: "row tight neighbours small", "aria-label": "In the list" },
    h("a", { href: address }, "Back to the list"),
    link(previous, "← Previous", "prev"),
    h("span", {}, `${position} of ${count}`),
    link(next, "Next →", "next"),
  );
}
