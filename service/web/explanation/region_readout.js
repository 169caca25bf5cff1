// What the region under the pointer, or the kept one, owes to the output.
import { h, replace } from "../lib/dom.js";
import { excludesZero, isDifference } from "../lib/comparison.js";
import { formatInterval, formatNumber, formatShare, formatSigned, plural } from "../lib/numbers.js";

const CHANNELS = ["red", "green", "blue"];

export function regionReadout(result, document, view) {
  const box = h("div", { class: "readout", id: "readout", "aria-live": "polite" });
  view.watch((now, changed) => {
    if (!["region", "pinned", "output"].some((name) => changed.includes(name))) return;
    const { label } = document.outputs[now.output];
    if (!result.regions) {
      replace(box, "There are too many regions for a table; the heat shows each pixel's value.");
    } else if (now.region === null) {
      replace(
        box,
        `Point at a region, or go through them with the keyboard, to see what it owes to “${label}”.`,
      );
    } else {
      replace(box, described(result, now, label), differing(document, result, now));
    }
  });
  return box;
}

function described({ regions, width, height }, { output, region, pinned }, label) {
  const { value, standardError, low, high, rank, share } = regions.credit[output].of(region);
  const shown = low === null ? formatSigned(value) : formatInterval(value, low, high);
  const parts = [...regions.parts[region]];
  return [
    h("strong", { class: value < 0 ? "against" : "for" }, shown),
    low !== null ? h("span", { class: "muted" }, " (95 % interval)") : null,
    low === null && standardError !== null
      ? h("span", { class: "muted" }, ` standard error ${formatNumber(standardError, 2)}`)
      : null,
    ` ${value < 0 ? "against" : "for"} “${label}”. `,
    `Region ${region}: rank ${formatNumber(rank)} of ${formatNumber(regions.count)}, ${formatShare(share)} of all credit, `,
    `${formatShare(regions.areas[region] / (width * height))} of the picture`,
    parts.length < regions.channels
      ? `, in ${parts.map((c) => CHANNELS[c] ?? c).join(" and ")} only`
      : null,
    regions.players[region] > 1
      ? `, ${plural(regions.players[region], "player")} not told apart`
      : null,
    pinned ? ". Kept; Escape or a click lets it go." : ".",
  ];
}

// Whether the models give the region different credit, of a difference with intervals.
function differing({ outputs, model, compared }, { regions }, { output, region }) {
  const credit = regions.credit[output].of(region);
  if (!isDifference(outputs[output]) || credit.low === null) return null;
  if (!excludesZero(credit)) return " The interval has 0 in it: the models may give it the same credit.";
  const [more, less] = credit.value > 0 ? [model, compared] : [compared, model];
  return ` The interval excludes 0: ${more.name} gives this region more credit than ${less.name}.`;
}
