// The result of an explanation: the picture with its heat, the regions, and all that is told of it.
import { h, replace } from "../lib/dom.js";
import { getJson } from "../lib/api.js";
import { modelsOf } from "../lib/comparison.js";
import { formatNumber } from "../lib/numbers.js";
import { timeAgo } from "../lib/time.js";
import { failure } from "../lib/failure.js";
import { loadResult } from "../lib/result.js";
import { requestCode, withoutNulls } from "../lib/request_code.js";
import { observable } from "../lib/observable.js";
import { askAgain } from "./ask_again.js";
import { controls } from "./controls.js";
import { differences, sideSwitch } from "./differences.js";
import { downloads } from "./downloads.js";
import { evidence } from "./evidence.js";
import { faithfulness } from "./faithfulness.js";
import { frameShare } from "./frame_share.js";
import { heatView } from "./heat_view.js";
import { interactions } from "./interactions.js";
import { keeping } from "./keeping.js";
import { outputsTable } from "./outputs_table.js";
import { provenance } from "./provenance.js";
import { loadRecord } from "./record.js";
import { regionReadout } from "./region_readout.js";
import { regionTable } from "./region_table.js";
import { secondRun } from "./run_again.js";
import { uploadView } from "./upload_view.js";
import { warningList } from "./warning_list.js";

export async function showResult(main, document, signal) {
  const top = document.outputs[0];
  const head = h(
    "header",
    { class: "result-head" },
    h(
      "div",
      { class: "row" },
      h("h1", {}, top.label, " ", h("span", { class: "score" }, formatNumber(top.score, 4))),
      h(
        "span",
        { class: "row tight" },
        h("a", { class: "button", href: `#/explanations/${document.id}/what-if` }, "What if…"),
        askAgain(document),
      ),
    ),
    h(
      "p",
      { class: "muted" },
      [document.image.name, modelsOf(document), document.settings.method, ""]
        .filter((each) => each !== null)
        .join(" · "),
      timeAgo(document.finished_at),
      document.partial ? h("span", { class: "badge caution" }, "canceled, partial result") : null,
      verdict(document),
    ),
  );
  const body = h("div", {}, h("p", { class: "muted" }, "Loading the arrays…"));
  const again = document.reproduces ? secondRun(document, signal) : null;
  replace(main, head, warningList(document), again, body);
  const record = loadRecord(document, signal);
  let result;
  try {
    result = await loadResult(document, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    replace(body, failure(error, askAgain(document)), provenance(document, record));
    return;
  }
  // output: position among the outputs. region: number or null. pinned: it stays when the pointer
  // leaves. scale: of colours, each output its "own" or all "shared".
  const view = observable({
    output: document.compared && result.sums[2] ? 2 : 0,
    region: null,
    pinned: false,
    opacity: 0.6,
    percentile: 99.9,
    scale: "own",
    palette: "red_blue",
    ground: "grey",
    outlines: true,
  });
  const picture = heatView(result, document, view);
  replace(
    body,
    h(
      "div",
      { class: "result-grid" },
      h(
        "div",
        { class: "result-picture" },
        document.compared ? sideSwitch(document, result, view, signal) : null,
        picture,
        regionReadout(result, document, view),
        frameShare(result, document, view, picture),
        controls(result, document, view),
      ),
      h(
        "div",
        { class: "result-side" },
        document.compared ? differences(document, result, view) : null,
        outputsTable(document, result, view, signal),
        regionTable(result, document, view),
      ),
    ),
    h(
      "div",
      { class: "result-more" },
      h(
        "div",
        { class: "result-grid" },
        h(
          "div",
          { class: "result-side" },
          document.links.faithfulness
            ? faithfulness(
                document,
                view,
                getJson(`v1/explanations/${document.id}/faithfulness`, { signal }),
              )
            : null,
          document.settings.interactions === 2 && document.links.regions
            ? interactions(document, view, signal)
            : null,
          evidence(document, record, signal),
          downloads(document, view, signal),
          h("section", { class: "card" }, codeOf(document)),
        ),
        uploadView(document, result, view, signal),
      ),
      keeping(document, record, signal),
      provenance(document, record),
    ),
  );
}

// The request of this explanation; what priority it had in a queue is of no use to anyone.
function codeOf({ settings, image, label_map }) {
  const { priority, ...others } = settings;
  return requestCode(() => ({
    settings: withoutNulls(others),
    names: [image.name ?? "picture"],
    labelMap: label_map && "label_map.png",
  })).element;
}

// Whether the top class is the true one, where that is known.
function verdict({ true_label, correct }) {
  if (!true_label) return null;
  if (correct) return h("span", { class: "badge fine" }, "right: the true label");
  const text = `${correct === false ? "wrong: " : ""}truly ${true_label.label}`;
  return h("span", { class: `badge ${correct === false ? "caution" : "note"}` }, text);
}
