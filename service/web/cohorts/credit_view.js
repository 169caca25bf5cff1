// Mean maps of where credit falls: of each class, right beside wrong.
import { h, replace } from "../lib/dom.js";
import { formatShare, plural } from "../lib/numbers.js";
import { VERDICTS, grouped } from "./cases.js";
import { CELLS, meanCredit } from "./credit.js";

const FIRST = 8; // classes shown at once
const INK = [88, 28, 135];

// [{title, groups: {verdict: {cases, mean}}}]: of all, then of each true class, or of each predicted
// one where no true class is known. Only cases whose credit is loaded count.
export function creditGroups(cases, nameOf) {
  const loaded = cases.filter(({ credit }) => credit);
  const labelled = loaded.filter(({ truth }) => truth);
  const byClass = labelled.length
    ? grouped(labelled, ({ truth }) => nameOf(truth))
    : grouped(loaded, ({ predicted }) => nameOf(predicted));
  const rows = byClass.length > 1 ? [["all", loaded], ...byClass] : [["all", loaded]];
  return rows.map(([title, those]) => ({
    title,
    groups: Object.fromEntries(
      Object.keys(VERDICTS)
        .map((verdict) => [verdict, those.filter((each) => each.verdict === verdict)])
        .filter(([, few]) => few.length)
        .map(([verdict, few]) => [
          verdict,
          { cases: few.length, mean: meanCredit(few.map(({ credit }) => credit)) },
        ]),
    ),
  }));
}

// Returns {element, update()}.
export function creditView(cases, nameOf) {
  const body = h("div", {});
  const more = h("button", { type: "button", hidden: true, on: { click: onMore } }, "Show all");
  let shown = FIRST + 1; // and the row of all

  function onMore() {
    shown = Infinity;
    update();
  }

  function update() {
    const rows = creditGroups(cases, nameOf);
    const verdicts = ["right", "wrong", "unknown"].filter((each) =>
      rows.some(({ groups }) => groups[each]),
    );
    more.hidden = rows.length <= shown;
    more.textContent = `Show all ${rows.length - 1} classes`;
    if (!verdicts.length) {
      replace(body, h("p", { class: "muted" }, "Nothing is measured yet."));
      return;
    }
    const few = rows.slice(0, shown);
    const largest = Math.max(
      ...few.flatMap(({ groups }) =>
        Object.values(groups).map(({ mean }) => mean.cells.reduce((a, b) => Math.max(a, b))),
      ),
    );
    const labelled = cases.some(({ truth, credit }) => truth && credit);
    replace(
      body,
      h(
        "p",
        { class: "muted small" },
        `Darkest: ${formatShare(largest)} of the credit in one of ${CELLS} × ${CELLS} cells. Spread ` +
          `evenly, each would have ${formatShare(1 / CELLS ** 2)}, and the centre, dashed, 25 %.`,
      ),
      h(
        "div",
        { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Mean maps" },
        h(
          "table",
          { class: "credit" },
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              h("th", { scope: "col" }, labelled ? "True class" : "Predicted class"),
              verdicts.map((each) => h("th", { scope: "col" }, VERDICTS[each])),
            ),
          ),
          h(
            "tbody",
            {},
            few.map(({ title, groups }) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, title),
                verdicts.map((each) => h("td", {}, groups[each] ? cell(groups[each], largest) : "–")),
              ),
            ),
          ),
        ),
      ),
    );
  }

  update();
  return {
    element: h(
      "section",
      { class: "card", "aria-label": "Credit" },
      h("h2", {}, "Where credit falls"),
      h(
        "p",
        { class: "muted small" },
        "The absolute attributions to the predicted class, as shares of each picture’s total, averaged " +
          "over the cases; laid over what the model saw of each photo. An object in the middle and credit " +
          "at the border is a reason to look closer.",
      ),
      body,
      more,
    ),
    update,
  };
}

function cell({ cases, mean }, largest) {
  return h(
    "div",
    { class: "credit-cell" },
    h("div", { class: "credit-map" }, map(mean.cells, largest)),
    h(
      "p",
      { class: "small" },
      h("strong", {}, `${formatShare(mean.centre)} in the centre`),
      h("br"),
      `half of it in ${formatShare(mean.half)} of the picture`,
      h("br"),
      h("span", { class: "muted" }, plural(cases, "case")),
    ),
  );
}

function map(cells, largest) {
  const canvas = h("canvas", { width: CELLS, height: CELLS, "aria-hidden": true });
  const image = new ImageData(CELLS, CELLS);
  cells.forEach((share, n) =>
    image.data.set([...INK, Math.round((255 * share) / largest)], 4 * n),
  );
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
