// A button that copies a text.
import { h } from "./dom.js";

// what: names the text, for people who hear the button.
export function copyButton(text, what) {
  const button = h(
    "button",
    { type: "button", class: "quiet copy", "aria-label": `Copy ${what}`, on: { click: onCopy } },
    "Copy",
  );

  async function onCopy() {
    try {
      await navigator.clipboard.writeText(text); // there for https and localhost only
      button.textContent = "Copied";
    } catch {
      const from = button.previousElementSibling;
      if (from) getSelection().selectAllChildren(from);
      button.textContent = "Selected: press Ctrl C";
    }
    button.setAttribute("aria-label", `${button.textContent} (${what})`);
  }
  return button;
}
