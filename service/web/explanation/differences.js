// A comparison of two models: which of the three layers is shown, and where the models differ.
import { h, newId, replace } from "../lib/dom.js";
import { shortFailure } from "../lib/failure.js";
import { formatInterval, formatNumber, formatSigned, plural } from "../lib/numbers.js";
import { SIDES, classOf, excludesZero } from "../lib/comparison.js";

const MOST = 6; // regions named

// The switch between the two models and their difference, for the chosen class.
export function sideSwitch({ model, compared }, result, view, signal) {
  const names = [model.name, compared.name, "Difference"];
  const problem = h("p", { class: "field-error", role: "alert" });
  const group = newId("side");
  const inputs = names.map((_, side) =>
    h("input", { type: "radio", name: group, on: { change: () => choose(side) } }),
  );
  async function choose(side) {
    problem.textContent = "";
    const output = classOf(view.value.output)[side];
    try {
      await result.ensure(output);
      view.set({ output });
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
  }
  view.watch((now, changed) => {
    if (changed.includes("output"))
      inputs.forEach((each, side) => (each.checked = side === now.output % SIDES));
  });
  return h(
    "fieldset",
    { class: "sides" },
    h("legend", { class: "muted small" }, "Heat of"),
    names.map((name, side) => h("label", {}, inputs[side], h("span", {}, name))),
    problem,
  );
}

// What the two models say of the chosen class, and the regions to which they give different credit.
export function differences({ outputs, model, compared, settings }, result, view) {
  const body = h("div", {});
  let shown = null;
  view.watch((now, changed) => {
    const [one] = changed.includes("output") ? classOf(now.output) : [shown];
    if (one === shown) return;
    shown = one;
    replace(body, told(one));
  });

  function told(one) {
    const [first, second, difference] = classOf(one).map((k) => outputs[k]);
    const scores = h(
      "p",
      {},
      `Asked about the same masked pictures, ${model.name} gives “${first.label}” `,
      h("strong", {}, formatNumber(first.score, 4)),
      ` and ${compared.name} `,
      h("strong", {}, formatNumber(second.score, 4)),
      `: a difference of ${formatSigned(difference.score)}.`,
    );
    const credit = result.regions?.credit[one + 2];
    if (!credit)
      return [scores, h("p", { class: "muted" }, "There are too many regions for a table.")];
    const intervals = credit.order.map(credit.of);
    const known = intervals[0].low !== null;
    const exact = known && intervals.every(({ low, high }) => low === high);
    const apart = credit.order.filter((region) => excludesZero(credit.of(region)));
    const count = `${formatNumber(apart.length)} of ${plural(result.regions.count, "region")}`;
    const sentence = exact
      ? `The values are exact: to ${count} the two models give different credit.`
      : known
      ? apart.length
        ? `For ${count} the 95 % interval of the difference excludes 0: to these the two models give different credit. ${byChance(result.regions.count)}`
        : "For no region the 95 % interval of the difference excludes 0: by these evaluations, the two models may give all of them the same credit."
      : `The method ${settings.method} gives no intervals, so any of these may be chance.`;
    const narrower = "; its intervals are narrower than those of two separate explanations";
    return [
      scores,
      h("p", { class: apart.length ? "differ" : null }, sentence),
      apart.length ? list(apart, one + 2, credit.of) : null,
      h(
        "p",
        { class: "muted small" },
        `The difference is that of ${model.name} minus ${compared.name}${known && !exact ? narrower : ""}.`,
      ),
    ];
  }

  function list(apart, output, of) {
    const items = apart.slice(0, MOST).map((region) => {
      const { value, low, high } = of(region);
      const more = value > 0 ? model.name : compared.name;
      const on = { click: () => view.set({ output, region, pinned: true }) };
      return h(
        "li",
        {},
        h("button", { type: "button", class: "quiet", on }, `Region ${region}`),
        `: ${formatInterval(value, low, high)}, more credit by ${more}`,
      );
    });
    const left = apart.length - items.length;
    const others = left > 0 ? h("p", { class: "muted small" }, `and ${left} more, in the table`) : null;
    return [h("ol", { class: "differing" }, items), others];
  }

  return h(
    "section",
    { class: "card", "aria-label": "Difference of the models" },
    h("h2", {}, "Where the two models differ"),
    body,
  );
}

const byChance = (regions) =>
  `Of ${formatNumber(regions)} such intervals, about ${formatNumber(Math.max(1, Math.round(regions / 20)))} would by chance, if the models were the same.`;
