// The cases of a cohort: what the documents of explanations tell of right and wrong predictions.
import { NOTES } from "../lib/warning_texts.js";

export const VERDICTS = { wrong: "✗ wrong", unknown: "? not known", right: "✓ right" }; // worst first

// document: of an explanation with a result. credit: of creditOf, once its arrays are loaded.
export function caseOf(document) {
  const { outputs, true_label: truth, warnings, metrics } = document;
  const own = outputs.filter(({ of }) => of === "model"); // of a comparison
  const predicted = own.reduce((best, each) => (each.score > best.score ? each : best));
  const codes = new Set((warnings ?? []).map(({ code }) => code));
  return {
    document,
    id: document.id,
    name: document.image.name,
    predicted,
    truth,
    trueScore: outputs.find(({ index }) => index === truth?.index)?.score ?? null,
    verdict: { true: "right", false: "wrong" }[document.correct] ?? "unknown",
    doubts: [...codes].filter((code) => !NOTES.includes(code)),
    faithfulness: (metrics ?? []).filter(({ output }) => output === predicted.index),
    credit: null,
  };
}

// Returns a function that names classes: by label, with the index where a label has several.
export function classNames(cases) {
  const indices = new Map();
  for (const { predicted, truth } of cases) {
    for (const each of [predicted, truth].filter(Boolean)) {
      if (!indices.has(each.label)) indices.set(each.label, new Set());
      indices.get(each.label).add(each.index);
    }
  }
  return ({ label, index }) => {
    if (!label) return `output ${index}`;
    return indices.get(label)?.size > 1 ? `${label} (${index})` : label;
  };
}

// --- Orders

const rank = (verdict) => Object.keys(VERDICTS).indexOf(verdict);
const byScore = (one, other) => one.predicted.score - other.predicted.score;

// Wrong ones first, the surest on top; then those not known and the right ones, of each first those
// with doubts, then by the lowest score.
function worstFirst(one, other) {
  if (one.verdict !== other.verdict) return rank(one.verdict) - rank(other.verdict);
  if (one.verdict === "wrong") return byScore(other, one);
  return Boolean(other.doubts.length) - Boolean(one.doubts.length) || byScore(one, other);
}

const centreOf = ({ credit }) => credit?.centre ?? Infinity;

export const ORDERS = {
  worst: ["worst first", worstFirst],
  score: ["lowest score first", byScore],
  centre: ["least credit in the centre first", (a, b) => centreOf(a) - centreOf(b) || worstFirst(a, b)],
  name: [
    "by file name",
    (a, b) => (a.name ?? "\uffff").localeCompare(b.name ?? "\uffff", undefined, { numeric: true }),
  ],
};

// --- Counts

export function countsOf(cases) {
  const counts = { right: 0, wrong: 0, unknown: 0 };
  for (const { verdict } of cases) counts[verdict] += 1;
  const told = counts.right + counts.wrong;
  return { cases: cases.length, ...counts, accuracy: told ? counts.right / told : null };
}

// [key, cases of it], the largest group first.
export function grouped(cases, keyOf) {
  const groups = new Map();
  for (const each of cases) {
    const key = keyOf(each);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(each);
  }
  return [...groups].sort(([, one], [, other]) => other.length - one.length);
}

// Of each true class: {label, cases, right, wrong, unknown, accuracy}.
export function perTrueClass(cases, nameOf) {
  const labelled = cases.filter(({ truth }) => truth);
  return grouped(labelled, ({ truth }) => nameOf(truth)).map(([label, those]) => ({
    label,
    ...countsOf(those),
  }));
}

// Of each predicted class: {label, cases, score: the mean one}.
export function perPredictedClass(cases, nameOf) {
  return grouped(cases, ({ predicted }) => nameOf(predicted)).map(([label, those]) => ({
    label,
    cases: those.length,
    score: those.reduce((sum, { predicted }) => sum + predicted.score, 0) / those.length,
  }));
}

// The classes that were confused: {truth, predicted, cases, score: the highest one}.
export function confusions(cases, nameOf) {
  const wrong = cases.filter(({ verdict }) => verdict === "wrong");
  return grouped(wrong, ({ truth, predicted }) => `${nameOf(truth)}\n${nameOf(predicted)}`).map(
    ([, those]) => ({
      truth: nameOf(those[0].truth),
      predicted: nameOf(those[0].predicted),
      cases: those.length,
      score: Math.max(...those.map(({ predicted }) => predicted.score)),
    }),
  );
}
