// Shows the screen of the address behind `#`, such as `#/explanations/exp_…?output=3`.
import { h, replace } from "./dom.js";
import { failure } from "./failure.js";
import { loadScreen, loadScreensLater } from "./load_screen.js";

// screens: [{path: RegExp, module: of {show}}]; the first group of a path is the `id`.
export function startRouter(main, screens, { home, nav }) {
  let leaving = new AbortController();

  async function go(first) {
    leaving.abort(); // ends the requests, streams and listeners of the screen before
    leaving = new AbortController();
    const { signal } = leaving;
    const [path, query] = (location.hash.slice(1) || home).split("?", 2);
    for (const link of nav.querySelectorAll("a")) {
      const current = path.startsWith(link.hash.slice(1));
      if (current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const known = screens.find((each) => each.path.test(path));
    replace(main);
    main.removeAttribute("data-ready");
    if (!first) {
      scrollTo(0, 0);
      main.focus({ preventScroll: true });
    }
    try {
      if (known) {
        const [, id] = path.match(known.path);
        const { show } = await loadScreen(known.module, signal);
        signal.throwIfAborted();
        await show(main, { id, query: new URLSearchParams(query), signal });
      } else {
        replace(
          main,
          h("h1", {}, "There is no such page"),
          h("p", {}, h("a", { href: `#${home}` }, "All explanations")),
        );
      }
    } catch (error) {
      if (signal.aborted) return;
      replace(main, failure(error));
    }
    if (signal.aborted) return;
    main.setAttribute("data-ready", path); // tests and readers wait for it
    document.title = [main.querySelector("h1")?.textContent, "Shapshot"]
      .filter(Boolean)
      .join(" · ");
  }

  addEventListener("hashchange", () => go(false));
  const shown = go(true);
  shown.then(() => loadScreensLater(screens));
  return shown; // the first screen
}
