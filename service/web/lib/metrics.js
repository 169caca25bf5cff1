// Reads metrics in the text format of Prometheus, version 0.0.4.

// Returns {of(name, labels): the value of the sample with these labels, or null; all(name):
// [{labels, value}]}.
export function parseMetrics(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const [, name, inner = "", value] =
      line.match(/^([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:\\.|[^"\\])*")*)\})?\s+(\S+)/) ?? [];
    if (!name) continue; // a comment, or an empty line
    const labels = {};
    for (const [, key, quoted] of inner.matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g))
      labels[key] = quoted.replace(/\\(.)/g, (_, each) => (each === "n" ? "\n" : each));
    if (!samples.has(name)) samples.set(name, []);
    samples.get(name).push({ labels, value: numberOf(value) });
  }
  const all = (name) => samples.get(name) ?? [];
  return {
    all,
    of(name, labels = {}) {
      const fits = (each) => Object.entries(labels).every(([key, value]) => each[key] === value);
      return all(name).find((each) => fits(each.labels))?.value ?? null;
    },
  };
}

const numberOf = (text) => Number(text.replace(/Inf$/, "Infinity"));
