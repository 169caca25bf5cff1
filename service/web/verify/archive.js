// Reads the archive of a bundle: a zip (APPNOTE 6.3.10) of files that are stored, not compressed,
// without dates, attributes and comments, so that the same files make the same bytes.

const NAME = /^(reviews\/)?[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}$/;
const MOST_FILES = 1100;
const [LOCAL, SIZES, ENTRY, END] = [0x04034b50, 0x08074b50, 0x02014b50, 0x06054b50];
const [VERSION, SIZES_FOLLOW, DAY_ONE] = [20, 8, 0x0021];

// Returns {files: Map of name to Uint8Array, changed: names of files whose checksum differs,
// inForm: whether all other bytes are those that the server writes}. Raises an Error.
export function readArchive(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - 22;
  if (end < 0 || view.getUint32(end, true) !== END)
    throw new Error("it is no zip archive, or does not end as a bundle does");
  const count = view.getUint16(end + 10, true);
  if (count > MOST_FILES) throw new Error(`it has ${count} files; the most are ${MOST_FILES}`);
  const files = new Map();
  const changed = [];
  const parts = []; // what the server writes for these files
  const directory = [];
  let [at, offset] = [view.getUint32(end + 16, true), 0];
  for (let n = 0; n < count; n += 1) {
    if (at + 46 > end || view.getUint32(at, true) !== ENTRY)
      throw new Error("the directory of the archive is damaged");
    const [length, extra, comment] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + length));
    if (!NAME.test(name)) throw new Error(`it has a file named ${JSON.stringify(name)}`);
    if (files.has(name)) throw new Error(`it has ${name} twice`);
    if (view.getUint16(at + 10, true) !== 0) throw new Error(`${name} is compressed in it`);
    const size = view.getUint32(at + 20, true);
    const start = view.getUint32(at + 42, true) + 30 + length;
    if (start + size > bytes.length) throw new Error(`${name} is cut off`);
    const content = bytes.subarray(start, start + size);
    files.set(name, content);
    const crc = view.getUint32(at + 16, true);
    if (crc32(content) !== crc) changed.push(name);
    const encoded = new TextEncoder().encode(name);
    const head = packed([LOCAL, 4], VERSION, SIZES_FOLLOW, 0, 0, DAY_ONE, [0, 4], [0, 4], [0, 4]);
    const sizes = [crc, size, size].map((number) => [number, 4]);
    parts.push(head, packed(length, 0), encoded, content, packed([SIZES, 4], ...sizes));
    directory.push(
      packed([ENTRY, 4], VERSION, VERSION, SIZES_FOLLOW, 0, 0, DAY_ONE, ...sizes),
      packed(length, 0, 0, 0, 0, [0, 4], [offset, 4]),
      encoded,
    );
    offset += 30 + length + size + 16;
    at += 46 + length + extra + comment;
  }
  const listed = directory.reduce((sum, part) => sum + part.length, 0);
  const last = packed([END, 4], 0, 0, count, count, [listed, 4], [offset, 4], 0);
  return { files, changed, inForm: isMadeOf(bytes, [...parts, ...directory, last]) };
}

// Little-endian numbers: of 2 bytes, or [number, bytes].
function packed(...numbers) {
  const pairs = numbers.map((each) => (Array.isArray(each) ? each : [each, 2]));
  return Uint8Array.from(
    pairs.flatMap(([number, size]) =>
      Array.from({ length: size }, (_, n) => (number >>> (8 * n)) & 255),
    ),
  );
}

function isMadeOf(bytes, parts) {
  let at = 0;
  for (const part of parts) {
    const same = part.buffer === bytes.buffer && part.byteOffset === bytes.byteOffset + at;
    if (!same && !part.every((byte, n) => bytes[at + n] === byte)) return false;
    at += part.length;
  }
  return at === bytes.length;
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
