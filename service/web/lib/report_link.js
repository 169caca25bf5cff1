// A link that opens a report in a new tab, for whoever has a key by a signed link for a minute.
import { h } from "./dom.js";
import { postJson } from "./api.js";
import { shortFailure } from "./failure.js";
import { signedIn } from "./session.js";

const LIFETIME_S = 60;

// path: of the explanation or batch. file: of its report. problem: the element that says why it
// could not be opened.
//
// A key is sent by this page alone, and a page made from a blob would have this page's policy,
// which forbids the styles of the report.
export function reportLink([title, path, file], problem, signal) {
  async function onOpen(event) {
    if (!signedIn()) return;
    event.preventDefault();
    problem.textContent = "";
    const body = JSON.stringify({ path: file, lifetime_s: LIFETIME_S });
    const headers = { "Content-Type": "application/json" };
    try {
      const link = await postJson(`${path}/links`, { body, headers, signal });
      window.open(new URL(link.url, document.baseURI), "_blank", "noopener");
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
  }

  const href = `${path}/${file}`;
  return h("a", { href, target: "_blank", rel: "noopener", on: { click: onOpen } }, title);
}
