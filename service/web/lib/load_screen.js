// Loads the module of a screen when it is opened, or a little after the first one is drawn.
import { Refused, request } from "./api.js";

const PAUSE_S = 0.5;

const addressOf = (module) => new URL(`../${module}`, import.meta.url).href;

// A browser does not try again to import what it failed to import, so the server must answer first.
export async function loadScreen(module, signal) {
  try {
    await request(addressOf(module), { signal });
    return await import(addressOf(module));
  } catch (error) {
    if (!(error instanceof Refused || error instanceof TypeError)) throw error;
    const title = "This page is not whole";
    const detail =
      "A part of it could not be loaded: the server was away, or has a newer version. Reload the page.";
    throw Object.assign(new Error(detail), { title, detail, code: "page" });
  }
}

export async function loadScreensLater(screens) {
  await new Promise((resolve) => setTimeout(resolve, 1000 * PAUSE_S));
  for (const { module } of screens) {
    const response = await fetch(addressOf(module)).catch(() => null);
    if (response?.ok) await import(addressOf(module)).catch(() => {});
  }
}
