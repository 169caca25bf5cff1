// The signed record of an explanation.
import { h } from "../lib/dom.js";
import { fromBase64 } from "../lib/base64.js";
import { getJson, request, sentence } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";

const MOST_EVALUATIONS = 5000; // of a record that is loaded only to tell its number

// {sequence, key}, or {} for a large record; {problem}: why there is none. The server seals a record
// when it is first asked for.
export async function loadRecord({ id, progress }, signal) {
  const path = `v1/explanations/${id}/record`;
  try {
    if (progress.evaluations > MOST_EVALUATIONS) {
      await request(path, { method: "HEAD", signal });
      return {};
    }
    const { payload, signatures } = await getJson(path, { signal });
    const { predicate } = JSON.parse(new TextDecoder().decode(fromBase64(payload)));
    return { sequence: predicate.chain.sequence, key: signatures[0].keyid };
  } catch (error) {
    return { problem: whyNone(error) };
  }
}

// Asking again helps where the server could not tell, but not where it keeps no records.
const whyNone = (error) =>
  error.problem?.code === "no_result" ? sentence(error.problem.detail) : shortFailure(error);

// “Signed record no. 12, key …”, with the way to verify it.
export function signature({ sequence, key }) {
  return [
    key
      ? [`Signed record no. ${sequence}, key `, h("code", {}, key)]
      : "It has a signed record",
    "; ",
    h("a", { href: "#/verify" }, "verify its bundle"),
  ];
}
