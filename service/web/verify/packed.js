// Reads the arrays that a record holds.
import { fromBase64 } from "../lib/base64.js";
import { inflate } from "../lib/inflate.js";

const TYPES = { "|u1": Uint8Array, "<u2": Uint16Array, "<f8": Float64Array };
const MOST_BYTES = 2 ** 28; // of one array

// {shape, data}, a typed array in rows. Raises an Error.
export async function unpack({ dtype, shape, data }) {
  const type = TYPES[dtype];
  if (!type) throw new Error(`an array of the record is of type ${dtype}`);
  const length = shape.reduce((product, side) => product * side, type.BYTES_PER_ELEMENT);
  if (!(length >= 0 && length <= MOST_BYTES))
    throw new Error(`an array of shape ${shape} is larger than this page reads`);
  return { shape, data: new type(await inflate(fromBase64(data), "deflate", length)) };
}
