// Verifies bundles in the browser: signatures, files, and the values, without any request.
import { openNpz } from "../lib/npz.js";
import { readArchive } from "./archive.js";
import { checkDifferences, isComparison } from "./differences.js";
import { canonical, openEnvelope, readKeys, sha256 } from "./envelope.js";
import { checkRecord, checkTimes } from "./record.js";
import { recompute } from "./values.js";

const RECORD = "urn:shapshot:explanation-record:v1";
const BUNDLE = "urn:shapshot:explanation-bundle:v1";
const REVIEW = "urn:shapshot:review:v1";
const TOLERANCE = 1e-6; // of the largest value: float32 arrays, and another order of adding
const ROUNDING = 1e-9; // of the sum of all magnitudes

// Verifies a bundle by these keys; null: by those that it brings along.
//
// Returns {checks, id, chain, sha256, key, reviews}, the last ones where the record could be opened;
// reviews: {id, chain, sha256, said} of each. A check is {what, state: "holds", "fails" or "open",
// detail}; one that others need ends it.
export async function verifyBundle(bytes, trusted = null) {
  const found = { checks: [], reviews: [] };
  try {
    await verify(bytes, trusted, found);
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
  }
  return found;
}

// Checks that records and reviews which follow each other in the chain name each other.
export function verifyChain(verified) {
  const checks = [];
  const byPlace = new Map();
  const signed = verified.flatMap((each) => [each, ...each.reviews]);
  for (const each of signed.filter(({ chain }) => chain)) {
    const other = byPlace.get(each.chain.sequence) ?? each;
    byPlace.set(each.chain.sequence, other);
    if (other.sha256 !== each.sha256)
      checks.push({
        what: `Place ${each.chain.sequence} of the chain has one record`,
        state: "fails",
        detail: `${other.id} and ${each.id} both claim it`,
      });
  }
  for (const [place, each] of [...byPlace].sort(([one], [other]) => one - other)) {
    const before = byPlace.get(place - 1);
    if (!before) continue;
    const follows = each.chain.previous === before.sha256;
    checks.push({
      what: `Records ${place - 1} and ${place} follow each other`,
      state: follows ? "holds" : "fails",
      detail: follows ? "" : `${each.id} does not name ${before.id} as the one before it`,
    });
  }
  return checks;
}

class Failed extends Error {}

async function verify(bytes, trusted, found) {
  // Notes a check by what `run` returns, a detail or nothing, or by what it throws.
  const check = async (what, run, { goOn = false } = {}) => {
    const noted = { what, state: "holds", detail: "" };
    found.checks.push(noted);
    try {
      noted.detail = (await run()) ?? "";
    } catch (error) {
      Object.assign(noted, { state: "fails", detail: error.message });
      if (!goOn) throw new Failed(error.message);
    }
  };
  let archive, files, keys, record, manifest, arrays;

  await check("The archive can be read", () => {
    archive = readArchive(bytes);
    files = archive.files;
  });
  const form = "The archive has the form in which it was made";
  await check(form, () => checkForm(archive), { goOn: true });
  await check("It has record, manifest, keys and arrays", () => {
    const needed = ["record.json", "manifest.json", "keys.json", "attributions.npz"];
    const missing = needed.filter((name) => !files.has(name));
    if (missing.length) throw new Error(`it has no ${missing.join(", ")}`);
  });
  await check("Its keys can be read", async () => {
    const brought = await readKeys(files.get("keys.json"));
    keys = trusted ?? brought;
  });
  await check("The record is signed", async () => {
    record = await openEnvelope(files.get("record.json"), keys, RECORD);
    const { id, chain } = record.statement.predicate;
    Object.assign(found, { id, chain, sha256: record.sha256, key: record.key });
    return `by the key ${record.key}, at ${record.signedAt}`;
  });
  const { predicate } = record.statement;
  await check("The record does not contradict itself", () => checkRecord(record.statement));
  await check("The manifest is signed", async () => {
    manifest = await openEnvelope(files.get("manifest.json"), keys, BUNDLE);
    const { id } = manifest.statement.predicate;
    if (id !== predicate.id) throw new Error(`it is of ${id}; the record is of ${predicate.id}`);
    checkTimes([
      ["the record was sealed", record.signedAt],
      ["it was made", manifest.signedAt],
    ]);
    return `by the key ${manifest.key}, at ${manifest.signedAt}`;
  });

  const digests = new Map(); // by name of the file, those of record and manifest
  for (const { name, digest } of [...record.statement.subject, ...manifest.statement.subject])
    digests.set(name, [...(digests.get(name) ?? []), digest.sha256]);
  const names = new Set([...digests.keys(), ...files.keys()]);
  names.delete("manifest.json");
  for (const name of [...names].sort()) {
    const run = async () => {
      if (!files.has(name)) throw new Error("it is missing");
      if (!digests.has(name)) throw new Error("neither record nor manifest lists it");
      const digest = await sha256(files.get(name));
      if (digests.get(name).some((each) => each !== digest))
        throw new Error("it was changed after it was signed");
    };
    await check(`The file ${name} is the one that was signed`, run, { goOn: true });
  }
  if (found.checks.some(({ state }) => state === "fails")) return;
  const reviews = [...files.keys()].filter((name) => name.startsWith("reviews/")).sort();
  for (const [n, name] of reviews.entries())
    await check(`${name} is a signed review of the record`, async () => {
      const { statement, sha256: digest } = await openEnvelope(files.get(name), keys, REVIEW);
      const said = statement.predicate;
      const subjects = statement.subject.map((each) => each.digest.sha256).join();
      if (subjects !== record.sha256 || said.id !== predicate.id)
        throw new Error(`it is of another record, of ${said.id}`);
      if (said.number !== n + 1)
        throw new Error(`it is review ${said.number}; number ${n + 1} is missing`);
      const before = found.reviews.at(-1)?.chain ?? predicate.chain;
      if (!(said.chain.sequence > before.sequence))
        throw new Error(`its place in the chain is ${said.chain.sequence}, too early`);
      const id = `review ${said.number} of ${said.id}`;
      found.reviews.push({ id, chain: said.chain, sha256: digest, said });
      const label = said.label ? ` with ${said.label}` : "";
      return `${said.verdict}${label}, by ${said.reviewer} at ${said.reviewed_at}`;
    });

  await check("The arrays can be read", async () => {
    arrays = await readArrays(files.get("attributions.npz"), predicate.result);
  });
  await check("The arrays name the model of the record", () => {
    const { name, fingerprint, parts } = predicate.result.model;
    const told = [arrays.name, arrays.fingerprint, canonical(arrays.parts)];
    if (canonical(told) !== canonical([name, fingerprint, canonical(parts)]))
      throw new Error(`they name ${told[0]} ${told[1]}; the record names ${name} ${fingerprint}`);
    return name;
  });
  if (isComparison(predicate.result))
    await check("The differences are those of the two models' scores", () =>
      checkDifferences(predicate),
    );
  await check("Base value, values and gap add up to the scores", () => {
    predicate.result.outputs.forEach((output, k) => addsUp(output, k, arrays.values));
  });
  let again = null;
  await check("The values follow from the recorded scores", async () => {
    again = await recompute(predicate, arrays);
    if (again) return compare(arrays.values.data, again);
    return `this page does not compute values of ${predicate.settings.method} over these players; run shapshot verify for that`;
  });
  if (!again) found.checks.at(-1).state = "open";
  if (predicate.result.metrics.length)
    found.checks.push({
      what: "The curves follow from the recorded scores",
      state: "open",
      detail: "this page does not compute curves; run shapshot verify for that",
    });
}

function checkForm({ changed, inForm }) {
  if (changed.length) throw new Error(`the checksum of ${changed.join(", ")} is another one`);
  if (!inForm) throw new Error("its bytes between the files are not those that were written");
}

function addsUp({ index, base_value: base, score, attribution_sum, efficiency_gap }, k, values) {
  const K = values.shape[3];
  let [total, magnitude] = [0, 0];
  for (let at = k; at < values.data.length; at += K) {
    total += values.data[at];
    magnitude += Math.abs(values.data[at]);
  }
  if (!(Math.abs(total - attribution_sum) <= ROUNDING * Math.max(1, magnitude)))
    throw new Error(
      `the values of output ${index} add up to ${total}; the record says ${attribution_sum}`,
    );
  const gap = score - base - attribution_sum;
  if (!(Math.abs(gap - efficiency_gap) <= ROUNDING * Math.max(1, Math.abs(score))))
    throw new Error(`the gap of output ${index} is ${gap}; the record says ${efficiency_gap}`);
}

function compare(stored, again) {
  let [apart, largest] = [0, 0];
  for (let at = 0; at < again.length; at += 1) {
    apart = Math.max(apart, Math.abs(again[at] - stored[at]));
    largest = Math.max(largest, Math.abs(again[at]));
  }
  if (!(apart <= TOLERANCE * largest))
    throw new Error(`they differ by up to ${apart.toPrecision(3)} from those of the scores`);
  return "computed again from them, without the model";
}

// Reads arrays that are no larger than the record says.
async function readArrays(bytes, { outputs, model }) {
  const npz = openNpz(bytes.slice().buffer);
  const word = async (name) => (await npz.read(name)).data[0] ?? "";
  const numbers = (model.parts?.input_shape ?? []).reduce((product, side) => product * side, 1);
  const most = 2 ** 20 + 64 * (outputs.length + 4) * numbers; // of an honest file
  if (!(npz.bytes <= most)) throw new Error(`they inflate to ${npz.bytes} bytes; ${most} are likely`);
  const values = await npz.read("values");
  const shape = [...(model.parts?.input_shape ?? []), outputs.length];
  if (`${values.shape}` !== `${shape}` || values.data.length !== numbers * outputs.length)
    throw new Error(`the values are of shape ${values.shape}; by the record of shape ${shape}`);
  return {
    values: inRows(values),
    data: inRows(await npz.read("data")),
    players: npz.has("players") ? inRows(await npz.read("players")) : null,
    name: await word("model_name"),
    fingerprint: await word("model_fingerprint"),
    parts: JSON.parse((await word("model_parts")) || "null"),
  };
}

// The array in C order.
function inRows({ shape, fortran, data }) {
  if (!fortran) return { shape, data };
  const [H, W = 1, C = 1, K = 1] = shape;
  const sorted = new data.constructor(data.length);
  let at = 0;
  for (let y = 0; y < H; y += 1)
    for (let x = 0; x < W; x += 1)
      for (let c = 0; c < C; c += 1)
        for (let k = 0; k < K; k += 1, at += 1) sorted[at] = data[y + H * (x + W * (c + C * k))];
  return { shape, data: sorted };
}
