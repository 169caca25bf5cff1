// Reads an npz: a zip (APPNOTE 6.3.10) of arrays in NumPy's format npy (NEP 1).
import { inflate } from "./inflate.js";

// Opens the zip; `read(name)` inflates one array: {shape, fortran, data}, `data` a typed array, or
// strings. `names` lists the arrays; `bytes` is what they inflate to. Raises Error.
export function openNpz(buffer) {
  const entries = directoryOf(buffer);
  return {
    names: [...entries.keys()],
    bytes: [...entries.values()].reduce((sum, { inflated }) => sum + inflated, 0),
    has: (name) => entries.has(name),
    async read(name) {
      const entry = entries.get(name);
      if (!entry)
        throw new Error(`the npz has no array ${name}; it has ${[...entries.keys()].join(", ")}`);
      return arrayOf(await contentOf(buffer, entry));
    },
  };
}

// The attributions (H, W, C, K), as float32; those in float16 times the scale of each output.
export async function readValues(npz) {
  const { shape, fortran, data } = await npz.read("values");
  if (!npz.has("values_scale")) return { shape, fortran, data };
  const scales = await npz.read("values_scale");
  const K = scales.data.length;
  const size = data.length / K; // of an output
  for (let k = 0; k < K; k += 1) {
    const [first, step] = fortran ? [k * size, 1] : [k, K];
    for (let n = 0, at = first; n < size; n += 1, at += step) data[at] *= scales.data[k];
  }
  return { shape, fortran, data };
}

function directoryOf(buffer) {
  const view = new DataView(buffer);
  let end = buffer.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw new Error("not an npz: it has no zip directory");
  const entries = new Map();
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left -= 1) {
    if (view.getUint32(at, true) !== 0x02014b50) throw new Error("the zip directory is damaged");
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) =>
      view.getUint16(at + offset, true),
    );
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, nameLength));
    entries.set(name.replace(/\.npy$/, ""), {
      deflated: view.getUint16(at + 10, true) === 8,
      size: view.getUint32(at + 20, true), // as stored
      inflated: view.getUint32(at + 24, true),
      header: view.getUint32(at + 42, true),
    });
    at += 46 + nameLength + extraLength + commentLength;
  }
  return entries;
}

async function contentOf(buffer, { deflated, size, inflated, header }) {
  const view = new DataView(buffer);
  const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
  if (!deflated) return buffer.slice(start, start + size);
  return inflate(new Uint8Array(buffer, start, size), "deflate-raw", inflated);
}

const TYPES = {
  f4: Float32Array,
  f8: Float64Array,
  i1: Int8Array,
  i2: Int16Array,
  i4: Int32Array,
  u1: Uint8Array,
  u2: Uint16Array,
  u4: Uint32Array,
  b1: Uint8Array,
};

function arrayOf(npy) {
  const view = new DataView(npy);
  const wide = view.getUint8(6) > 1; // version 2 has longer headers
  const start = (wide ? 12 : 10) + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const head = new TextDecoder().decode(
    new Uint8Array(npy, wide ? 12 : 10, start - (wide ? 12 : 10)),
  );
  const [, order, type] = head.match(/'descr': '([<>|=])(\w+)'/) ?? [];
  if (!type || order === ">")
    throw new Error(`an array of a type that this page does not read: ${head}`);
  const shape = head
    .match(/'shape': \(([^)]*)\)/)[1]
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean)
    .map(Number);
  const fortran = /'fortran_order': True/.test(head);
  return { shape, fortran, data: numbersOf(npy.slice(start), type, shape) };
}

function numbersOf(bytes, type, shape) {
  if (type in TYPES) return new TYPES[type](bytes);
  if (type === "f2") return halvesToNumbers(new Uint16Array(bytes));
  if (type === "i8") return Array.from(new BigInt64Array(bytes), Number);
  if (type === "u8") return Array.from(new BigUint64Array(bytes), Number);
  if (type.startsWith("U")) return stringsOf(new Uint32Array(bytes), Number(type.slice(1)), shape);
  throw new Error(`an array of type ${type}, which this page does not read`);
}

function stringsOf(points, length, shape) {
  const count = shape.reduce((product, side) => product * side, 1);
  return Array.from({ length: count }, (_, n) => {
    const word = points.subarray(n * length, (n + 1) * length);
    const end = word.indexOf(0);
    return String.fromCodePoint(...(end < 0 ? word : word.subarray(0, end)));
  });
}

// The number of each pattern of bits in IEEE 754 half precision, made when it is first needed.
let halves = null;

export function halvesToNumbers(patterns) {
  halves ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => halfToNumber(bits));
  const numbers = new Float32Array(patterns.length);
  for (let n = 0; n < patterns.length; n += 1) numbers[n] = halves[patterns[n]];
  return numbers;
}

function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return (
    sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024))
  );
}
