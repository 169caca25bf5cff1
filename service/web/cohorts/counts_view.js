// Right and wrong in numbers: of all, of each true class, and which classes were confused.
import { h } from "../lib/dom.js";
import { formatNumber, formatShare, plural } from "../lib/numbers.js";
import { confusions, countsOf, perPredictedClass, perTrueClass } from "./cases.js";
import { sortableTable } from "./table.js";

// onPair({truth, predicted}): called to show the cases of a confusion.
export function countsView(cases, nameOf, onPair) {
  const counts = countsOf(cases);
  const labelled = cases.filter(({ truth }) => truth).length;
  const unlabelled = cases.length - labelled;
  const hidden = counts.unknown - unlabelled;
  return [
    h(
      "section",
      { class: "card", "aria-label": "Predictions" },
      h("h2", {}, "Predictions"),
      labelled ? verdicts(counts) : howToLabel(),
      labelled && unlabelled
        ? h(
            "p",
            { class: "muted small" },
            `${plural(unlabelled, "case has", "cases have")} no true label.`,
          )
        : null,
      hidden
        ? h(
            "p",
            { class: "muted small" },
            `Of ${plural(hidden, "case")}, outputs were chosen by name, so the class of highest score ` +
              "may be another one.",
          )
        : null,
    ),
    labelled ? byTruth(cases, nameOf) : byPrediction(cases, nameOf),
    counts.wrong ? confused(cases, nameOf, onPair) : null,
  ];
}

function verdicts({ right, wrong, unknown, accuracy }) {
  const stat = (title, value, kind) =>
    h("div", { class: `stat ${kind}` }, h("dt", {}, title), h("dd", {}, value));
  return h(
    "dl",
    { class: "stats" },
    stat("✓ right", formatNumber(right), "fine"),
    stat("✗ wrong", formatNumber(wrong), "caution"),
    stat("? not known", formatNumber(unknown), "unknown"),
    accuracy === null
      ? null
      : stat(`right of ${formatNumber(right + wrong)}`, formatShare(accuracy), "accuracy"),
  );
}

const howToLabel = () =>
  h(
    "p",
    {},
    "None of these has a true label, so right and wrong are not known. To tell them apart, ",
    h("a", { href: "#/new" }, "ask again"),
    " with the same pictures and settings, and name the true label of each beside it, or add a CSV file " +
      "with lines of a file name and a label. A result that is kept is not computed again for it.",
  );

const byTruth = (cases, nameOf) =>
  h(
    "section",
    { class: "card", "aria-label": "True classes" },
    h("h2", {}, "By true class"),
    sortableTable(
      "Accuracy: right of right and wrong",
      [
        { title: "True class", of: ({ label }) => label },
        { title: "Cases", of: (row) => row.cases, number: true },
        { title: "Right", of: ({ right }) => right, number: true },
        { title: "Wrong", of: ({ wrong }) => wrong, number: true },
        {
          title: "Accuracy",
          of: ({ accuracy }) => accuracy,
          shown: ({ accuracy }) => (accuracy === null ? "–" : formatShare(accuracy)),
          number: true,
        },
      ],
      perTrueClass(cases, nameOf),
    ),
  );

const byPrediction = (cases, nameOf) =>
  h(
    "section",
    { class: "card", "aria-label": "Predicted classes" },
    h("h2", {}, "By predicted class"),
    sortableTable(
      "The explained output of highest score",
      [
        { title: "Predicted class", of: ({ label }) => label },
        { title: "Cases", of: (row) => row.cases, number: true },
        {
          title: "Mean score",
          of: ({ score }) => score,
          shown: ({ score }) => formatNumber(score),
          number: true,
        },
      ],
      perPredictedClass(cases, nameOf),
    ),
  );

const confused = (cases, nameOf, onPair) =>
  h(
    "section",
    { class: "card", "aria-label": "Confused classes" },
    h("h2", {}, "Confused classes"),
    sortableTable(
      "Wrong predictions only",
      [
        { title: "True class", of: ({ truth }) => truth },
        { title: "Predicted", of: ({ predicted }) => predicted },
        {
          title: "Cases",
          of: (row) => row.cases,
          shown: (row) =>
            h(
              "button",
              {
                type: "button",
                class: "quiet",
                "aria-label": `${plural(row.cases, "case")}: show ${row.truth} taken for ${row.predicted}`,
                on: { click: () => onPair(row) },
              },
              formatNumber(row.cases),
            ),
          number: true,
        },
        {
          title: "Highest score",
          of: ({ score }) => score,
          shown: ({ score }) => formatNumber(score),
          number: true,
        },
      ],
      confusions(cases, nameOf),
    ),
  );
