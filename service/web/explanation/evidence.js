// What an auditor takes away: the report, the bundle, the signed record, and a second run.
import { h } from "../lib/dom.js";
import { reportLink } from "../lib/report_link.js";
import { scopes } from "../lib/session.js";
import { runAgain } from "./run_again.js";
import { saveButton } from "./save_button.js";

// record: the promise of `loadRecord`.
export function evidence({ id }, record, signal) {
  const path = `v1/explanations/${id}`;
  const problem = h("p", { class: "field-error", role: "alert" });
  const save = (title, file, name) => saveButton([title, () => `${path}/${file}`, name], problem, signal);

  const report = reportLink(["Report (new tab)", path, "report.html"], problem, signal);
  report.className = "button";
  const list = h(
    "dl",
    { class: "evidence" },
    row(
      [
        report,
        save("Report (HTML)", "report.html", `${id}-report.html`),
        save("Report (PDF)", "report.pdf", `${id}-report.pdf`),
      ],
      "What was asked, what the model said, which regions count and how sure that is: to read, print or pass on.",
    ),
  );
  record.then((known) => {
    if (signal.aborted) return;
    list.append(...(known.problem ? [withoutRecord(known.problem)] : signed()), again, log);
  });
  const again = row(
    [runAgain(id, signal)],
    "Asks the model of today the same, as an explanation of its own, and says by how much the two differ.",
  );

  const log = h("div", { hidden: true }); // for those who may read it
  scopes().then((may) => {
    log.hidden = !may?.includes("auditor");
    const link = h("a", { class: "button", href: `#/audit?explanation=${id}` }, "Who did what with it");
    log.append(...row([link], "The entries of the audit log about this explanation.").children);
  });

  const signed = () => [
    row(
      [save("Bundle (zip)", "bundle.zip", `${id}.zip`)],
      "All of it in one archive: report, signed record, pictures and numbers. Keep this as proof: it can be checked without this server.",
    ),
    row(
      [save("Record (JSON)", "record", `${id}-record.json`)],
      "The signed statement alone: every score that the model gave, from which the values follow.",
    ),
    row(
      [
        h("a", { class: "button", href: "#/verify" }, "Verify a bundle"),
        saveButton(["Keys (jwks.json)", () => ".well-known/jwks.json", "jwks.json"], problem, signal),
      ],
      "Checks signature, files and values of a bundle, in this browser; nothing is sent. By the keys of this server, kept apart from the bundle, it shows who signed.",
    ),
  ];

  return h(
    "section",
    { class: "card", "aria-label": "Evidence" },
    h("h2", {}, "Evidence"),
    list,
    problem,
  );
}

const withoutRecord = (problem) =>
  h("div", {}, h("dt", {}, "Signed record"), h("dd", {}, `There is none now. ${problem}`));

const row = (actions, says) =>
  h("div", {}, h("dt", { class: "row tight" }, actions), h("dd", { class: "muted small" }, says));
