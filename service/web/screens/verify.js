// Verifies bundles of explanations, wholly in the browser: nothing is sent.
import { h, newId, replace } from "../lib/dom.js";
import { sentence } from "../lib/api.js";
import { verifyBundle, verifyChain } from "../verify/checks.js";
import { readKeys, whyNot } from "../verify/envelope.js";

const MARKS = { holds: ["✓", "holds"], fails: ["✗", "does not hold"], open: ["–", "not checked"] };

export async function show(main, { signal }) {
  const missing = await whyNot();
  signal.throwIfAborted();
  const [bundlesId, keysId, keysHelp] = ["bundles", "keys", "keys-help"].map(newId);
  const bundles = h("input", { type: "file", id: bundlesId, accept: ".zip", multiple: true });
  const keys = h("input", {
    type: "file",
    id: keysId,
    accept: ".json",
    "aria-describedby": keysHelp,
  });
  const said = h("p", { role: "status" });
  const results = h("div", { class: "verified" });
  const zone = h(
    "div",
    { class: "drop" },
    h("label", { for: bundlesId }, "Choose or drop bundles (bundle.zip), one or several"),
    bundles,
    h("label", { for: keysId }, "Keys to trust (jwks.json), if you have them"),
    keys,
    h(
      "p",
      { class: "help", id: keysHelp },
      "Those that /.well-known/jwks.json of the server gave you earlier. Without them the keys in each bundle are taken.",
    ),
  );
  let dropped = []; // bundles that were dropped; those chosen by the field replace them
  let round = 0;

  async function verifyAll() {
    const now = (round += 1);
    const files = dropped.length ? dropped : [...bundles.files];
    replace(results);
    said.textContent = files.length ? "Verifying…" : "";
    if (!files.length) return;
    let trusted = null;
    try {
      const [file] = keys.files;
      trusted = file ? await readKeys(new Uint8Array(await file.arrayBuffer())) : null;
    } catch (error) {
      said.textContent = `${keys.files[0].name} cannot be read: ${error.message}`;
      return;
    }
    const verified = [];
    for (const file of files) {
      const found = await verifyBundle(new Uint8Array(await file.arrayBuffer()), trusted);
      if (signal.aborted || now !== round) return;
      verified.push(found);
      results.append(card(file.name, found, trusted));
    }
    const chain = verifyChain(verified);
    if (verified.length > 1 || chain.length) results.append(chainCard(chain));
    const bad = verified.filter(({ checks }) => fails(checks)).length;
    const holds = `${verified.length - bad} of ${verified.length} valid`;
    said.textContent = `Verified: ${holds}${fails(chain) ? "; the chain is broken" : ""}.`;
  }

  bundles.addEventListener("change", () => {
    dropped = [];
    verifyAll();
  });
  keys.addEventListener("change", verifyAll);
  for (const [event, over] of [
    ["dragenter", true],
    ["dragover", true],
    ["dragleave", false],
    ["drop", false],
  ]) {
    zone.addEventListener(event, (dragged) => {
      if (event === "drop" && dragged.target === keys) return; // the field takes it
      dragged.preventDefault();
      zone.classList.toggle("over", over);
      if (event !== "drop") return;
      dropped = [...dragged.dataTransfer.files];
      verifyAll();
    });
  }
  replace(
    main,
    h("h1", {}, "Verify a record"),
    h(
      "p",
      {},
      "Whether an explanation is what the server signed, and whether its values follow from the recorded scores. It is computed in this browser: no file is sent anywhere.",
    ),
    missing ? h("p", { class: "field-error", role: "alert" }, missing) : [zone, said, results],
  );
}

const fails = (checks) => checks.some(({ state }) => state === "fails");

function card(name, { checks, id, chain }, trusted) {
  const about = id && [
    "Record no. ",
    chain.sequence,
    " of ",
    h("a", { href: `#/explanations/${id}` }, h("code", {}, id)),
  ];
  const whose = trusted
    ? null
    : "The keys are those in the bundle. So this shows that nothing was changed since it was made, and not who made it.";
  return section(name, checks, about, whose);
}

function chainCard(checks) {
  const none = "No two of these records follow each other directly, so none names another.";
  return section("Chain", checks, checks.length ? null : none);
}

function section(title, checks, ...about) {
  const left = checks.some(({ state }) => state === "open");
  const badge = fails(checks)
    ? h("span", { class: "badge caution" }, "not valid")
    : h("span", { class: "badge fine" }, left ? "valid, as far as it is checked here" : "valid");
  return h(
    "section",
    { class: "card", "aria-label": title },
    h("h2", {}, title, " ", checks.length ? badge : null),
    about.map((each) => each && h("p", { class: "muted" }, each)),
    h(
      "ul",
      { class: "verified-checks" },
      checks.map(({ what, state, detail }) => {
        const [mark, read] = MARKS[state];
        return h(
          "li",
          { "data-state": state },
          h("span", { role: "img", "aria-label": read }, mark),
          h("span", {}, sentence(detail ? `${what}: ${detail}` : what)),
        );
      }),
    ),
  );
}
