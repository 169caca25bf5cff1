// Starts the dashboard: the frame around the screens, and which screen each address shows.
import { startKeyHelp } from "./lib/key_help.js";
import { scopes, signOut, signedIn, whenSignedInOrOut } from "./lib/session.js";
import { startTheme } from "./lib/theme.js";
import { startRouter } from "./lib/router.js";

// A screen is a module with `show(main, {id, query, signal})`: it fills `main`, sets the title of
// the page by its first heading, and stops what it started when `signal` is aborted.
const SCREENS = [
  { path: /^\/explanations\/(exp_[0-9a-f]+)$/, module: "screens/explanation.js" },
  { path: /^\/explanations\/(exp_[0-9a-f]+)\/what-if$/, module: "screens/what_if.js" },
  { path: /^\/explanations$/, module: "screens/explanations.js" },
  { path: /^\/batches\/(batch_[0-9a-f]+)$/, module: "screens/batch.js" },
  { path: /^\/cohorts$/, module: "screens/cohorts.js" },
  { path: /^\/compare$/, module: "screens/compare.js" },
  { path: /^\/new$/, module: "screens/new.js" },
  { path: /^\/models$/, module: "screens/models.js" },
  { path: /^\/operations$/, module: "screens/operations.js" },
  { path: /^\/verify$/, module: "screens/verify.js" },
  { path: /^\/audit$/, module: "screens/audit.js" },
];

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

// Shown once the server has said that the key may read the log; Verify makes no request for it.
const auditLink = document.getElementById("audit");
async function showAuditLink() {
  if (location.hash.startsWith("#/verify")) return;
  auditLink.hidden = !(await scopes())?.includes("auditor");
}

const nav = document.getElementById("nav");
startRouter(main, SCREENS, { home: "/explanations", nav }).then(() => {
  showAuditLink();
  whenSignedInOrOut(showAuditLink);
  addEventListener("hashchange", showAuditLink);
});
