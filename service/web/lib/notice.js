// The bar below the header that says what is waited for. One at a time, shared by all who wait.
import { h, replace } from "./dom.js";

let waiting = null; // {done: Promise}

// Waits `seconds`, showing `text` and the time left. Rejects with AbortError when `signal` is
// aborted or a person stops it. Who comes meanwhile waits for the same moment.
export async function waitVisibly(text, seconds, signal) {
  waiting ??= show(text, seconds).finally(() => (waiting = null));
  await Promise.race([waiting, aborted(signal)]);
}

function show(text, seconds) {
  const bar = document.getElementById("notice");
  return new Promise((resolve, reject) => {
    const left = h("span", {});
    const stop = new DOMException("stopped by a person", "AbortError");
    const end = (settle, value) => {
      clearInterval(timer);
      bar.hidden = true;
      replace(bar);
      settle(value);
    };
    const until = performance.now() + 1000 * seconds;
    const tick = () => {
      const rest = Math.ceil((until - performance.now()) / 1000);
      left.textContent = ` Trying again in ${Math.max(rest, 0)} s.`;
      if (rest <= 0) end(resolve);
    };
    const timer = setInterval(tick, 250);
    replace(
      bar,
      h("span", {}, text, left),
      h("button", { type: "button", on: { click: () => end(resolve) } }, "Try now"),
      h("button", { type: "button", on: { click: () => end(reject, stop) } }, "Stop"),
    );
    bar.hidden = false;
    tick();
  });
}

function aborted(signal) {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
