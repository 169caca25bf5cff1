// Opens signed statements: DSSE envelopes (1.0.2) with Ed25519 (RFC 8032), by WebCrypto.
import { fromBase64 } from "../lib/base64.js";

const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const [reader, writer] = [new TextDecoder("utf-8", { fatal: true }), new TextEncoder()];

// Why this browser cannot verify anything; null: it can.
export async function whyNot() {
  if (!globalThis.crypto?.subtle)
    return "Browsers verify signatures only on pages of https or of localhost, and this page is neither. Open it so, or run shapshot verify.";
  try {
    await importKey({ x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }); // of RFC 8037
    return null;
  } catch {
    return "This browser has no Ed25519, by which records are signed. Chromium has it from version 137, Firefox from 130, Safari from 17. Use one of them, or run shapshot verify.";
  }
}

// Reads a JSON Web Key Set of Ed25519 keys: {x, kid, retired_at} by kid. Raises an Error.
export async function readKeys(bytes) {
  const { keys } = parsed(bytes, "it is no JSON");
  if (!Array.isArray(keys)) throw new Error("it is no JSON Web Key Set: it has no list of keys");
  const known = new Map();
  for (const { kty, crv, x, kid, valid_from, retired_at } of keys) {
    if (kty !== "OKP" || crv !== "Ed25519" || ![x, kid].every((each) => /^[\w-]{43}$/.test(each)))
      throw new Error(`the key ${kid} is no key of Ed25519`);
    // RFC 7638
    const thumbprint = await sha256(writer.encode(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`));
    if (hex(fromBase64(kid)) !== thumbprint)
      throw new Error(`the key ${kid} has another thumbprint`);
    if (known.has(kid)) throw new Error(`the key ${kid} is in it twice`);
    for (const time of [valid_from, retired_at])
      if (time && Number.isNaN(Date.parse(time)))
        throw new Error(`the key ${kid} tells ${time}, which is no time`);
    known.set(kid, { x, kid, valid_from, retired_at });
  }
  return known;
}

// Returns {statement, sha256: of its payload, key: its id, signedAt}. Raises an Error that says what
// is wrong. kind: the type of the predicate.
export async function openEnvelope(bytes, keys, kind) {
  const { payloadType, payload, signatures } = parsed(bytes, "it is no DSSE envelope");
  if (payloadType !== PAYLOAD_TYPE || typeof payload !== "string" || !Array.isArray(signatures))
    throw new Error("it is no DSSE envelope around an in-toto statement");
  const listed = signatures.map(({ keyid, sig }) => ({ keyid, sig }));
  if (JSON.stringify({ payloadType, payload, signatures: listed }) !== reader.decode(bytes))
    throw new Error("it has more than a DSSE envelope, or other white space");
  if (listed.length !== 1) throw new Error(`it has ${listed.length} signatures; it must have one`);
  const [named] = listed;
  const key = keys.get(named.keyid);
  if (!key)
    throw new Error(
      `it is signed by ${named.keyid || "no key"}; known are ${[...keys.keys()].join(", ") || "no keys"}`,
    );
  const content = decoded(payload, "payload");
  const head = writer.encode(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${content.length} `);
  const message = new Uint8Array([...head, ...content]);
  const signature = decoded(named.sig, "signature");
  if (!(await crypto.subtle.verify("Ed25519", await importKey(key), signature, message)))
    throw new Error("its signature is not valid: it was changed after it was signed");
  const statement = parsed(content, "its payload is no JSON");
  if (!isCanonical(statement, content))
    throw new Error("its payload is not in the canonical form of RFC 8785");
  const [family] = kind.split(/(?<=:v)/);
  if (statement.predicateType !== kind && `${statement.predicateType}`.startsWith(family))
    throw new Error(`it is of type ${statement.predicateType}, made by another version; update`);
  if (statement.predicateType !== kind)
    throw new Error(`it is of type ${statement.predicateType}; this page reads ${kind} here`);
  const { sealed_at, made_at, reviewed_at } = statement.predicate;
  const signedAt = sealed_at ?? made_at ?? reviewed_at;
  if (key.retired_at && !(Date.parse(signedAt) < Date.parse(key.retired_at)))
    throw new Error(
      `it was signed at ${signedAt} by the key ${key.kid}, which was retired at ${key.retired_at}`,
    );
  if (key.valid_from && !(Date.parse(signedAt) >= Date.parse(key.valid_from)))
    throw new Error(
      `it was signed at ${signedAt} by the key ${key.kid}, which is valid from ${key.valid_from}`,
    );
  return { statement, sha256: await sha256(content), key: key.kid, signedAt };
}

export async function sha256(bytes) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

// JSON as RFC 8785 writes it.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

function isCanonical(statement, bytes) {
  try {
    return canonical(statement) === reader.decode(bytes);
  } catch (error) {
    if (error instanceof RangeError) throw new Error("its payload is nested too deeply");
    throw error;
  }
}

const importKey = ({ x }) =>
  crypto.subtle.importKey("jwk", { kty: "OKP", crv: "Ed25519", x }, "Ed25519", false, ["verify"]);

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function parsed(bytes, otherwise) {
  try {
    return JSON.parse(reader.decode(bytes)) ?? {};
  } catch {
    throw new Error(otherwise);
  }
}

function decoded(text, what) {
  let bytes = null;
  try {
    bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    throw new Error(`its ${what} is not valid base64`);
  }
  if (btoa(atob(text)) !== text)
    throw new Error(`its ${what} is not in the canonical form of base64`);
  return bytes;
}
