// Numbers as text. Nothing is rounded to what it is not: 0.99979 is not "1", 0.0003 not "0".

const MINUS = "−";
const written = (text) => text.replace("-", MINUS);

// Significant digits, as many more as it takes not to claim 0 or 1.
export function formatNumber(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return written(value.toLocaleString("en"));
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e7) return exponential(value, digits);
  for (let more = digits; more <= 15; more += 1) {
    const text = value.toPrecision(more);
    if (Math.abs(Number(text)) !== 1) return written(plain(text));
  }
  return written(String(value));
}

export const formatSigned = (value, digits = 3) =>
  value > 0 ? `+${formatNumber(value, digits)}` : formatNumber(value, digits);

// A share of 0..1 in per cent, never rounded to 0 or 100.
export function formatShare(share) {
  const size = Math.min(share, 1 - share);
  if (size <= 0) return `${100 * share} %`;
  const places = size >= 0.1 ? 0 : size >= 0.001 ? 1 : Math.ceil(-Math.log10(100 * size)) + 1;
  return `${(100 * share).toFixed(Math.min(places, 12)).replace(/(\.\d*?)0+$/, (_, kept) => (places > 1 ? kept : _))} %`;
}

// A value with its 95 % interval, both to the digits that the interval leaves certain.
export function formatInterval(value, low, high) {
  const half = (high - low) / 2;
  if (!(half > 0)) return formatSigned(value);
  const places = Math.min(12, Math.max(0, 1 - Math.floor(Math.log10(half))));
  const text = value.toFixed(places);
  if (Number(text) === 0 && value !== 0) return `${formatSigned(value)} ± ${formatNumber(half, 2)}`;
  return `${value > 0 ? "+" : ""}${written(text)} ± ${half.toFixed(places)}`;
}

export function formatSeconds(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function formatBytes(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export const formatTime = (iso) =>
  iso ? new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "–";

export const plural = (count, one, many = `${one}s`) =>
  `${formatNumber(count)} ${count === 1 ? one : many}`;

function exponential(value, digits) {
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  return `${written(mantissa)}e${written(exponent.replace("+", ""))}`;
}

const plain = (text) => (text.includes("e") ? String(Number(text)) : text);
