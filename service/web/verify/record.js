// What a record must hold to be one of a server with a right clock.

const CLOCKS_APART_MS = 5 * 60_000; // of machines whose clocks are taken for right

// Raises an Error that names two parts of the statement which contradict each other.
export function checkRecord({ _type, subject, predicate }) {
  if (_type !== "https://in-toto.io/Statement/v1")
    throw new Error(`it is a statement of type ${_type}`);
  const { picture, label_map, result, chain, status } = predicate;
  const digests = new Map(subject.map(({ name, digest }) => [name, digest.sha256]));
  const needed = [["attributions.npz"], ["picture", picture.sha256]];
  if (label_map) needed.push(["label_map", label_map.sha256]);
  if (result.metrics.length) needed.push(["faithfulness.json"]);
  for (const [name, sha256] of needed) {
    if (!digests.has(name)) throw new Error(`it does not list ${name} among its files`);
    if (sha256 && sha256 !== digests.get(name))
      throw new Error(`it tells two digests of ${name}`);
  }
  if (!(Number.isInteger(chain.sequence) && chain.sequence >= 0))
    throw new Error(`its place in the chain is ${chain.sequence}`);
  if ((chain.sequence === 0) !== (chain.previous === null))
    throw new Error(
      `its place in the chain is ${chain.sequence}, and the record before it ${chain.previous ?? "is not named"}`,
    );
  if (!["succeeded", "canceled"].includes(status))
    throw new Error(`it is of an explanation that is ${status}`);
  if (result.partial && status !== "canceled")
    throw new Error("its result is partial, though it was not canceled");
  if (!result.outputs.length) throw new Error("it has no output");
  checkTimes([
    ["it was created", predicate.created_at],
    ["it was finished", predicate.finished_at ?? predicate.created_at],
    ["it was sealed", predicate.sealed_at],
  ]);
}

// Checks that moments [what, time] follow each other, and none is yet to come. Raises an Error.
export function checkTimes(moments) {
  const told = [...moments, ["the clock here says", new Date().toISOString()]];
  for (const [what, moment] of moments)
    if (typeof moment !== "string" || !/(Z|[+-]\d\d:\d\d)$/.test(moment) || !(Date.parse(moment) > 0))
      throw new Error(`${what} at ${moment}, which is no time`);
  for (const [n, [what, moment]] of moments.entries()) {
    const [then, later] = told[n + 1];
    if (Date.parse(moment) - Date.parse(later) > CLOCKS_APART_MS)
      throw new Error(`${what} at ${moment}, and ${then} ${later}: one of the clocks is wrong`);
  }
}
