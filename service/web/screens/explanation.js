// One explanation: while it waits and runs its progress, then its result, or why it has none.
import { follow } from "../lib/follow.js";
import { h, replace } from "../lib/dom.js";
import { showEnded } from "../explanation/ended.js";
import { neighbours } from "../explanation/neighbours.js";
import { showProgress } from "../explanation/progress.js";
import { showResult } from "../explanation/result_view.js";

export async function show(main, { id, signal }) {
  const content = h("div", {}, h("p", { class: "muted" }, "Looking for the explanation…"));
  replace(main, neighbours(id, signal), content);
  let progress = null;
  const document = await new Promise((resolve, reject) => {
    const onDocument = (each) => {
      if (each.done) return;
      progress ??= showProgress(content, each, signal);
      progress.onDocument(each);
      main.setAttribute("data-ready", "progress");
    };
    const onPreview = (each) => progress?.onPreview(each);
    follow(id, onDocument, onPreview, signal).then(resolve, reject);
  });
  const hadFocus = main.contains(globalThis.document.activeElement);
  const hasResult = Boolean(document.links.attributions);
  await (hasResult ? showResult(content, document, signal) : showEnded(content, document));
  if (progress && hadFocus) main.focus({ preventScroll: true }); // what had it is gone
}
