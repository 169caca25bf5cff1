// Inflates bytes, at most so many: what claims to be small may be a bomb.

// format: "deflate" (RFC 1950) or "deflate-raw" (RFC 1951). Returns an ArrayBuffer of `length`
// bytes. Raises an Error if they are more or fewer, or damaged.
export async function inflate(bytes, format, length) {
  const reader = new Blob([bytes])
    .stream()
    .pipeThrough(new DecompressionStream(format))
    .getReader();
  const inflated = new Uint8Array(length);
  let at = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (at + part.value.length > length) {
      reader.cancel();
      throw new Error(`compressed bytes inflate to more than the ${length} that they claim`);
    }
    inflated.set(part.value, at);
    at += part.value.length;
  }
  if (at < length) throw new Error(`compressed bytes inflate to ${at} bytes, not to ${length}`);
  return inflated.buffer;
}
