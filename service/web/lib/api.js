// Requests to the API: with the key, in words where they fail, and again where waiting helps.
//
// Addresses are relative to the page, so the dashboard works below any path.
import { waitVisibly } from "./notice.js";
import { authorization, signIn } from "./session.js";

// A refusal by the server. `problem` is the document of RFC 9457: code, detail, field, accepted, …
export class Refused extends Error {
  constructor(problem, retryAfter) {
    super(problem.detail);
    this.problem = problem;
    this.retryAfter = retryAfter; // seconds, or null
  }
}

const LONGEST_PAUSE_S = 30;
const PASSING = [
  "rate_limited",
  "busy",
  "redis_unavailable",
  "store_unavailable",
  "queue_full",
  "share_full",
  "no_worker",
];

// Returns the response to a request that succeeded. Raises Refused, or AbortError.
//
// Goes on while the server cannot be reached or asks to wait; a bar says so and can be stopped.
// Requests that make something carry an Idempotency-Key, so sending them again is safe.
export async function request(path, { method = "GET", headers = {}, body, signal } = {}) {
  for (let tries = 0; ; tries += 1) {
    let response;
    const sent = authorization();
    try {
      response = await fetch(path, { method, body, signal, headers: { ...sent, ...headers } });
    } catch (error) {
      if (signal?.aborted || error.name === "AbortError") throw error;
      await waitVisibly("The server cannot be reached.", Math.min(2 ** tries, 10), signal);
      continue;
    }
    if (response.ok || response.status === 304) return response;
    const problem = await problemOf(response);
    const again = Number(response.headers.get("Retry-After")) || null;
    if (response.status === 401) {
      // Another request may have asked for a new key meanwhile
      if (sent.Authorization === authorization().Authorization) await signIn(problem);
    } else if (again && again <= LONGEST_PAUSE_S && PASSING.includes(problem.code)) {
      await waitVisibly(`${sentence(problem.detail)}`, again, signal);
    } else if (response.status === 502 || response.status === 504) {
      await waitVisibly(
        "The server behind the proxy cannot be reached.",
        Math.min(2 ** tries, 10),
        signal,
      );
    } else {
      throw new Refused(problem, again);
    }
  }
}

export const getJson = async (path, options) => (await request(path, options)).json();
export const getBlob = async (path, options) => (await request(path, options)).blob();
export const postJson = async (path, options) =>
  (await request(path, { method: "POST", ...options })).json();

async function problemOf(response) {
  try {
    const problem = await response.clone().json();
    if (typeof problem.code === "string") return problem;
  } catch {
    // a proxy's own page
  }
  const detail = `the server answered ${response.status} ${response.statusText}`.trim();
  return {
    code: "unknown",
    title: "Refused",
    detail,
    status: response.status,
    field: null,
    accepted: null,
  };
}

export function sentence(text) {
  const isId = /^(exp|batch)_/.test(text);
  const begun = isId ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
