// Starts the dashboard: the frame around the screens, and which screen each address shows.
import { signOut, signedIn, whenSignedInOrOut } from "./lib/session.js";
import { startTheme } from "./lib/theme.js";
import { startRouter } from "./lib/router.js";
import * as batch from "./screens/batch.js";
import * as compare from "./screens/compare.js";
import * as explanation from "./screens/explanation.js";
import * as explanations from "./screens/explanations.js";
import * as models from "./screens/models.js";
import * as newExplanation from "./screens/new.js";
import * as operations from "./screens/operations.js";

// A screen is a module with `show(main, {id, query, signal})`: it fills `main`, sets the title of
// the page by its first heading, and stops what it started when `signal` is aborted.
const SCREENS = [
  { path: /^\/explanations\/(exp_[0-9a-f]+)$/, screen: explanation },
  { path: /^\/explanations$/, screen: explanations },
  { path: /^\/batches\/(batch_[0-9a-f]+)$/, screen: batch },
  { path: /^\/compare$/, screen: compare },
  { path: /^\/new$/, screen: newExplanation },
  { path: /^\/models$/, screen: models },
  { path: /^\/operations$/, screen: operations },
];

startTheme(document.getElementById("theme"));

const signOutButton = document.getElementById("sign-out");
const showSignOut = () => (signOutButton.hidden = !signedIn());
whenSignedInOrOut(showSignOut);
showSignOut();
signOutButton.addEventListener("click", () => {
  signOut();
  location.reload();
});

const main = document.getElementById("main");
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // its fragment is no address of a screen
  main.focus();
});

startRouter(main, SCREENS, { home: "/explanations", nav: document.getElementById("nav") });
