// Loads pictures and attributions of cases, a few at a time.
import { request } from "../lib/api.js";
import { channelSums, magnitudesOf } from "../lib/colours.js";
import { openNpz, readValues } from "../lib/npz.js";
import { pictureOf } from "../lib/result.js";
import { creditOf } from "./credit.js";

const AT_ONCE = 4;

// Gives each case its `credit` and calls onLoaded(case, {picture, sums, magnitudes}), or
// onFailed(case, error). Resolves at the end, or soon after `signal` is aborted.
export async function loadCases(cases, signal, { onLoaded, onFailed }) {
  const waiting = [...cases];
  const work = async () => {
    while (waiting.length && !signal.aborted) {
      const next = waiting.shift();
      try {
        const arrays = await load(next, signal);
        onLoaded(next, arrays);
      } catch (error) {
        if (!signal.aborted) onFailed(next, error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function load(each, signal) {
  const { id, predicted, document } = each;
  const query = new URLSearchParams({ format: "npz", dtype: "float16", output: predicted.index });
  const response = await request(`v1/explanations/${id}/attributions?${query}`, { signal });
  const npz = openNpz(await response.arrayBuffer());
  const [values, data] = await Promise.all([readValues(npz), npz.read("data")]);
  const [sums] = channelSums(values);
  const [picture, magnitudes] = [pictureOf(data), magnitudesOf(sums)];
  each.credit = creditOf(sums, magnitudes, picture.width, document.placement);
  return { picture, sums, magnitudes };
}
