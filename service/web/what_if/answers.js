// Asks the server for the scores of the chosen coalition, then for its picture.
//
// A newer choice drops the questions of the older one. What was scored once is not asked again.
import { getBlob, postJson } from "../lib/api.js";
import { coalitionOf, textOf } from "./coalitions.js";

const QUIET_MS = 150; // choices that follow each other faster are asked about once
const SLOW_MS = 2000;
const LONGEST_QUERY = 8000; // characters; the server refuses addresses of more than 8192

// tried: Map from the text of a coalition to its scores, of each output. Changes `view`: `scores`
// and `picture` of what is hidden, null until they are known; `problem`: null, or {of, error};
// `slow`: whether the scores take long. Returns `again()`, which asks anew.
export function answers({ id, outputs }, result, view, tried, signal) {
  const { count } = result.regions;
  const path = `v1/explanations/${id}`;
  let [asking, timer, last] = [new AbortController(), 0, -Infinity];
  signal.addEventListener("abort", () => asking.abort(), { once: true });

  async function scoresOf(hidden, text, dropped) {
    if (tried.has(text)) return tried.get(text);
    if (hidden.size === 0) return outputs.map(({ score }) => score);
    if (hidden.size === count) return outputs.map(({ base_value }) => base_value);
    const slow = setTimeout(() => view.set({ slow: true }), SLOW_MS);
    const body = JSON.stringify({ coalitions: [coalitionOf(hidden, count)] });
    const headers = { "Content-Type": "application/json" };
    try {
      for (;;) {
        // the same question again is answered by the job that is there already
        const answer = await postJson(`${path}/scores`, { body, headers, signal: dropped });
        if (answer.done) return answer.scores[0];
      }
    } finally {
      clearTimeout(slow);
      if (!dropped.aborted) view.set({ slow: false });
    }
  }

  async function pictureOf(hidden, dropped) {
    if (hidden.size === 0) return createImageBitmap(result.picture);
    const [[name, regions]] = Object.entries(coalitionOf(hidden, count));
    const query = `${name}=${regions.join(",")}`;
    if (query.length > LONGEST_QUERY) {
      const detail =
        "the picture cannot be asked for, as its address would name too many regions: hide, or show, fewer of them";
      throw { title: "Too many regions", detail, code: "too_many_regions" };
    }
    const blob = await getBlob(`${path}/masked.png?${query}`, { signal: dropped });
    return createImageBitmap(blob);
  }

  async function ask(dropped) {
    const { hidden } = view.value;
    const text = textOf(hidden, count);
    let of = "score";
    try {
      const scores = await scoresOf(hidden, text, dropped);
      if (dropped.aborted) return;
      tried.set(text, scores);
      view.set({ scores });
      of = "picture";
      const picture = await pictureOf(hidden, dropped);
      if (!dropped.aborted) view.set({ picture });
    } catch (error) {
      if (!dropped.aborted) view.set({ problem: { of, error } });
    }
  }

  function again() {
    asking.abort();
    clearTimeout(timer);
    asking = new AbortController();
    const { signal: dropped } = asking;
    const scores = tried.get(textOf(view.value.hidden, count)) ?? null;
    view.set({ scores, picture: null, problem: null, slow: false });
    const pause = performance.now() - last < QUIET_MS ? QUIET_MS : 0;
    last = performance.now();
    if (pause) timer = setTimeout(() => dropped.aborted || ask(dropped), pause);
    else ask(dropped);
  }

  view.watch((_, changed) => changed.includes("hidden") && again());
  return again;
}
