// What went wrong, in words, and what to do about it.
import { h } from "./dom.js";
import { Refused, sentence } from "./api.js";

const ADVICE = {
  not_found:
    "It may have been deleted, or belong to another key. Check the address, or look through all explanations.",
  gone: "Results are kept for a time set by whoever runs the server. Ask for the explanation anew.",
  forbidden: "Sign out and sign in with a key that may do this.",
  invalid_image:
    "Choose a JPEG, PNG, WebP, GIF, BMP, TIFF, PPM, AVIF or HEIC file that opens in a picture viewer.",
  unsupported_media_type: "Choose a JPEG, PNG, WebP, GIF, BMP, TIFF, PPM, AVIF or HEIC file.",
  too_large: "Make the picture smaller, or save it as JPEG.",
  invalid_settings: "Change the marked setting.",
  unknown_model: "Choose one of the models that are listed.",
  unknown_output: "Name outputs by labels or indices of the model's card.",
  model_unavailable: "Choose another model, or try again once it has loaded.",
  model_changed:
    "The model was replaced since. Choose it without its fingerprint to use the new one.",
  model_failed:
    "The model could not compute scores. Try another picture or masker; the server's log has the details.",
  worker_lost:
    "The program that computed it ended several times. Ask again with fewer evaluations, or tell whoever runs the server.",
  deadline_exceeded: "Ask again with fewer evaluations or outputs, or without metrics.",
  no_worker: "Whoever runs the server has to start a worker.",
  data_lost: "Whoever runs the server has to look into it.",
  misdirected_request: "Use the server's own name, or localhost.",
  cross_site: "Open the dashboard from the server's own address.",
  no_result: "Ask for the explanation again.",
  held: "Whoever holds it, or an admin, has to release the hold first.",
  internal: "Try again. If it happens again, tell whoever runs the server the time.",
};

// An alert for an error: of a request, of an explanation (`problem`), or of this page.
export function failure(error, ...actions) {
  const { title, detail, code } = problemOf(error);
  return h(
    "section",
    { class: "failure", role: "alert", "data-code": code },
    h("h1", {}, title),
    h("p", {}, sentence(detail)),
    ADVICE[code] ? h("p", {}, ADVICE[code]) : null,
    h(
      "p",
      { class: "row" },
      actions,
      h("a", { href: "#/explanations" }, "All explanations"),
      h("a", { href: "#/new" }, "New explanation"),
    ),
  );
}

// The same in one line, for beside a field or a button.
export function shortFailure(error) {
  const { detail, code } = problemOf(error);
  return [sentence(detail), ADVICE[code]].filter(Boolean).join(" ");
}

function problemOf(error) {
  if (error instanceof Refused) return error.problem;
  if (typeof error.code === "string") return error; // a problem itself
  if (error.name === "AbortError")
    return { title: "Stopped", detail: "You stopped waiting for the server", code: "stopped" };
  console.error(error);
  return {
    title: "This page failed",
    detail: `An error in the page itself: ${error.message}`,
    code: "page",
  };
}
