// Builds elements. Strings become text nodes, never markup: names and labels are untrusted.

const SVG = "http://www.w3.org/2000/svg";

// h("button", {class: "primary", type: "button", on: {click}, disabled: true}, "Send", icon)
// Attributes of value null, undefined or false are left out; children may be nested in lists.
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...nodes(children));
  return element;
}

const nodes = (children) =>
  children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false);

export function replace(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

let ids = 0;
export const newId = (prefix) => `${prefix}-${(ids += 1)}`; // for label, aria-describedby, …
