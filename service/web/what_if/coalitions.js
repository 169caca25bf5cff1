// Sets of hidden regions: as text for addresses, as the API names them, in words, and what the
// explanation's values predict for them.
import { plural } from "../lib/numbers.js";

const NAMED = 4; // regions that are named in words

export const complement = (hidden, count) =>
  new Set(Array.from({ length: count }, (_, region) => region).filter((r) => !hidden.has(r)));

// {hidden: regions} or {shown: regions}, whichever names fewer.
export function coalitionOf(hidden, count) {
  if (2 * hidden.size <= count) return { hidden: inOrder(hidden) };
  return { shown: inOrder(complement(hidden, count)) };
}

// Such as "hidden=0-4,7"; equal for equal sets. "hidden=" hides nothing.
export function textOf(hidden, count) {
  const [[name, regions]] = Object.entries(coalitionOf(hidden, count));
  const runs = [];
  for (const region of regions) {
    const last = runs.at(-1);
    if (last && region === last[1] + 1) last[1] = region;
    else runs.push([region, region]);
  }
  return `${name}=${runs.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(",")}`;
}

// Reads it from a URLSearchParams: {hidden, wrong}; `wrong` are the parts that name no region.
export function readHidden(query, count) {
  const name = query.has("shown") ? "shown" : "hidden";
  const [named, wrong] = [new Set(), []];
  for (const part of (query.get(name) ?? "").split(",").filter(Boolean)) {
    const [, from, to = from] = part.match(/^(\d{1,9})(?:-(\d{1,9}))?$/) ?? [];
    if (from === undefined || Number(from) > Number(to) || Number(to) >= count) wrong.push(part);
    else for (let region = Number(from); region <= Number(to); region += 1) named.add(region);
  }
  return { hidden: name === "hidden" ? named : complement(named, count), wrong };
}

export function inWords(hidden, count) {
  if (hidden.size === 0) return "Nothing hidden";
  if (hidden.size === count) return "Everything hidden";
  const shown = count - hidden.size;
  if (hidden.size <= NAMED) return `Hidden: ${inOrder(hidden).join(", ")}`;
  if (shown <= NAMED) return `Only shown: ${inOrder(complement(hidden, count)).join(", ")}`;
  return `${hidden.size} of ${plural(count, "region")} hidden`;
}

// The regions from the largest value of output k to the smallest: what speaks for it comes first.
export function byValue({ credit, count }, k) {
  const values = Array.from({ length: count }, (_, region) => credit[k].of(region).value);
  return values.map((_, region) => region).sort((a, b) => values[b] - values[a] || a - b);
}

// The score that the explanation's values add up to; null while those of output k are not loaded.
export function predicted({ credit, count }, outputs, k, hidden) {
  if (!credit[k]) return null;
  let sum = outputs[k].base_value;
  for (let region = 0; region < count; region += 1)
    if (!hidden.has(region)) sum += credit[k].of(region).value;
  return sum;
}

const inOrder = (regions) => [...regions].sort((a, b) => a - b);
