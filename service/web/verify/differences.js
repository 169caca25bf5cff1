// Checks the outputs of a comparison of two models: the third of each class is the first minus the
// second, to the bit.
import { unpack } from "./packed.js";

const SIDES = ["model", "compared", "difference"];

// Whether a result names a second model or a difference.
export function isComparison({ compared, outputs }) {
  return Boolean(compared) || outputs.some((output) => sideOf(output) !== "model");
}

// Raises an Error where outputs are of other sides, or a recorded difference is another number.
export async function checkDifferences({ result, evidence }) {
  const { outputs } = result;
  const sides = outputs.map(sideOf);
  if (sides.length % 3 || sides.some((side, k) => side !== SIDES[k % 3]))
    throw new Error(`the outputs are of ${sides.join(", ")}`);
  const ends = ["base_value", "score"].map((end) => outputs.map((output) => output[end]));
  const tables = [evidence.transcript, evidence.curves].filter(Boolean);
  const packed = await Promise.all(tables.map(({ scores }) => unpack(scores)));
  if (packed.some(({ shape }) => shape[1] !== outputs.length))
    throw new Error(`there are ${outputs.length} outputs; the recorded scores have others`);
  for (const scores of [...ends, ...packed.map(({ data }) => data)])
    for (let at = 0; at < scores.length; at += 3)
      if (scores[at + 2] !== scores[at] - scores[at + 1])
        throw new Error("a recorded difference is not the first score minus the second");
}

const sideOf = ({ of = "model" }) => of;
