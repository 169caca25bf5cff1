// Links to a result for people without a key, signed by the server for a while.
import { h, newId, replace } from "../lib/dom.js";
import { postJson } from "../lib/api.js";
import { copyButton } from "../lib/copy.js";
import { shortFailure } from "../lib/failure.js";
import { formatTime } from "../lib/numbers.js";

const LIFETIMES = { 3600: "an hour", 86400: "a day", 604800: "a week" }; // by seconds

// paths: {title: () => path below the explanation}.
export function keyFreeLink(id, paths, signal) {
  const choice = (title, options) => {
    const select = h(
      "select",
      { id: newId("link") },
      Object.entries(options).map(([value, text]) => h("option", { value }, text)),
    );
    return [select, h("div", { class: "control" }, h("label", { for: select.id }, title), select)];
  };
  const titles = Object.keys(paths).map((title) => [title, title]);
  const [what, whatControl] = choice("Link to", Object.fromEntries(titles));
  const [lifetime, lifetimeControl] = choice("For", LIFETIMES);
  const made = h("p", { class: "small", role: "status" });
  const problem = h("p", { class: "field-error", role: "alert" });

  async function onMake() {
    replace(made);
    problem.textContent = "";
    const body = JSON.stringify({ path: paths[what.value](), lifetime_s: Number(lifetime.value) });
    const headers = { "Content-Type": "application/json" };
    try {
      const link = await postJson(`v1/explanations/${id}/links`, { body, headers, signal });
      const { href } = new URL(link.url, document.baseURI);
      replace(
        made,
        h("code", {}, href),
        copyButton(href, "the link"),
        ` until ${formatTime(link.expires_at)}`,
      );
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
  }

  return h(
    "details",
    {},
    h("summary", {}, "A link that needs no key"),
    h("div", { class: "controls" }, whatControl, lifetimeControl),
    h("button", { type: "button", on: { click: onMake } }, "Make the link"),
    made,
    problem,
  );
}
