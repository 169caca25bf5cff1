// The key of this tab. It stays in sessionStorage, so it ends with the tab, and enters no address.
import { h, newId, replace } from "./dom.js";

const NAME = "shapshot-key";
const listeners = new Set();

export const signedIn = () => sessionStorage.getItem(NAME) !== null;
export const whenSignedInOrOut = (listener) => listeners.add(listener);
export const authorization = () =>
  signedIn() ? { Authorization: `Bearer ${sessionStorage.getItem(NAME)}` } : {};

// What the key permits, such as "auditor", or null where the server does not say.
let permitted = null; // the promise of it
export function scopes() {
  return (permitted ??= askScopes());
}

async function askScopes() {
  const answer = await fetch("v1/caller", { headers: authorization() }).catch(() => null);
  if (answer?.ok) return (await answer.json()).scopes;
  permitted = null;
  return null;
}

listeners.add(() => (permitted = null));

export function signOut() {
  sessionStorage.removeItem(NAME);
  for (const listener of listeners) listener();
}

let asking = null; // the dialog that is open, for all requests that wait for it

// Asks for a key; resolves once one was entered. What is on the screen stays as it is.
// refused: the problem of the request that had no valid key.
export function signIn(refused) {
  asking ??= ask(refused).finally(() => (asking = null));
  return asking;
}

function ask(refused) {
  const [input, why] = [newId("key"), newId("why")];
  const said = signedIn()
    ? "The server does not know this key any more. It may have been removed. Enter another one: what you have entered on this page is kept."
    : "This server asks for a key. Whoever runs it gives you one.";
  const field = h("input", {
    id: input,
    type: "password",
    name: "key",
    autocomplete: "off",
    required: true,
    "aria-describedby": why,
  });
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": newId("title") });
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: dialog.getAttribute("aria-labelledby") }, "Sign in"),
    h("p", { id: why }, said, refused?.code === "rate_limited" ? ` ${refused.detail}` : null),
    h("label", { for: input }, "Key"),
    field,
    h("p", { class: "muted" }, "It is kept in this tab until you close it or sign out."),
    h("div", { class: "row end" }, h("button", { class: "primary" }, "Sign in")),
  );
  dialog.append(form);
  dialog.addEventListener("cancel", (event) => event.preventDefault()); // nothing works without
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const key = field.value.trim();
      if (!/^[\x21-\x7e]+$/.test(key)) {
        replace(
          dialog.querySelector(`#${why}`),
          "A key has letters, digits and signs, and no spaces.",
        );
        return;
      }
      sessionStorage.setItem(NAME, key);
      dialog.close();
      dialog.remove();
      for (const listener of listeners) listener();
      resolve();
    });
  });
}
