// The link to the form with the settings of an explanation filled in.
import { h } from "../lib/dom.js";

export const askAgain = ({ id }) =>
  h("a", { class: "button", href: `#/new?from=${id}` }, "Ask again with one change");
