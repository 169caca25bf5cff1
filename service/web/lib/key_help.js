// The keys that the screens know, in a dialog; a button and, unless it is switched off, “?” open it.
import { h, newId } from "./dom.js";

const NAME = "shapshot-key-help"; // "off": the key “?” does nothing
const KEYS = [
  [
    "In the list",
    [
      ["Arrow keys, Home, End", "from picture to picture"],
      ["x", "selects the picture that has the focus"],
    ],
  ],
  ["An explanation", [["← →", "the one before or after it in the list"]]],
  [
    "On a heatmap",
    [
      ["Arrow keys", "from region to region; in Compare, move the marked place"],
      ["Home, End", "the region of most and of least credit"],
      ["Page Up, Page Down", "the region of the rank before or after"],
      ["Enter", "keeps the region"],
      ["Escape", "lets it go"],
      ["Shift and the mouse", "draw a frame, to see how much of the credit is in it"],
    ],
  ],
  [
    "In What if",
    [
      ["Space", "hides the region or shows it again"],
      ["Ctrl Z", "takes the last choice back"],
    ],
  ],
  ["In the table of regions", [["Arrow keys, Page Up, Page Down, Home, End", "by rank"]]],
];

export function startKeyHelp(button) {
  button.addEventListener("click", open);
  addEventListener("keydown", (event) => {
    const typed = event.target.closest?.("input, select, textarea, dialog");
    if (event.key !== "?" || typed || localStorage.getItem(NAME) === "off") return;
    event.preventDefault();
    open();
  });
}

function open() {
  const title = newId("title");
  const box = h("input", {
    type: "checkbox",
    checked: localStorage.getItem(NAME) !== "off",
    on: { change: () => localStorage.setItem(NAME, box.checked ? "on" : "off") },
  });
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": title, on: { close: () => dialog.remove() } },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: title, tabindex: "-1", autofocus: true }, "Keys"),
      KEYS.map(([where, keys]) => [
        h("h3", {}, where),
        h(
          "dl",
          {},
          keys.map(([key, does]) =>
            h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)),
          ),
        ),
      ]),
      h("p", {}, h("label", { class: "check" }, box, "The key ? opens this")),
      h(
        "p",
        {},
        "Have you a bundle.zip? ",
        h("a", { href: "#/verify", on: { click: () => dialog.close() } }, "Verify it"),
      ),
      h("div", { class: "row end" }, h("button", { class: "primary" }, "Close")),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
