// An explanation that ended without a result: what happened and what to do.
import { h, replace } from "../lib/dom.js";
import { failure } from "../lib/failure.js";
import { askAgain } from "./ask_again.js";
import { provenance } from "./provenance.js";

export function showEnded(main, document) {
  const { status, error } = document;
  const told =
    status === "failed" && error
      ? failure({ ...error, title: `It failed: ${error.title.toLowerCase()}` }, askAgain(document))
      : failure(
          {
            title: "It was canceled",
            detail: "It was canceled before anything had been computed",
            code: "canceled_early",
          },
          askAgain(document),
        );
  told.removeAttribute("role"); // it is the whole page, not news on it
  replace(main, told, provenance(document), h("p", { class: "muted" }, `Id ${document.id}`));
}
