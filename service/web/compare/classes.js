// Classes of several explanations, matched by their labels.

export const TOP = ""; // stands for the top class of each

export const labelOf = ({ label, index }) => label || `output ${index}`;

// The position of the class among the outputs of an explanation, or -1.
export const outputOf = ({ document }, label) =>
  label === TOP ? 0 : document.outputs.findIndex((each) => labelOf(each) === label);

// [label, how many explain it]: first those that most explain.
export function classesOf(items) {
  const counts = new Map();
  for (const { document } of items) {
    for (const label of new Set(document.outputs.map(labelOf)))
      counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts].sort(([, one], [, other]) => other - one);
}
