// Starts the dashboard: the frame around the screens, and which screen each address shows.
import { startKeyHelp } from "./lib/key_help.js";
import { signOut, signedIn, whenSignedInOrOut } from "./lib/session.js";
import { startTheme } from "./lib/theme.js";
import { startRouter } from "./lib/router.js";

// A screen is a module with `show(main, {id, query, signal})`: it fills `main`, sets the title of
// the page by its first heading, and stops what it started when `signal` is aborted.
const SCREENS = [
  { path: /^\/explanations\/(exp_[0-9a-f]+)$/, load: () => import("./screens/explanation.js") },
  {
    path: /^\/explanations\/(exp_[0-9a-f]+)\/what-if$/,
    load: () => import("./screens/what_if.js"),
  },
  { path: /^\/explanations$/, load: () => import("./screens/explanations.js") },
  { path: /^\/batches\/(batch_[0-9a-f]+)$/, load: () => import("./screens/batch.js") },
  { path: /^\/cohorts$/, load: () => import("./screens/cohorts.js") },
  { path: /^\/compare$/, load: () => import("./screens/compare.js") },
  { path: /^\/new$/, load: () => import("./screens/new.js") },
  { path: /^\/models$/, load: () => import("./screens/models.js") },
  { path: /^\/operations$/, load: () => import("./screens/operations.js") },
];
const PAUSE_S = 1; // after the first screen, before the others are loaded

startTheme(document.getElementById("theme"));
startKeyHelp(document.getElementById("keys"));

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

addEventListener("load", () =>
  setTimeout(() => Promise.allSettled(SCREENS.map(({ load }) => load())), 1000 * PAUSE_S),
);
