// Bytes in base64 (RFC 4648), of either alphabet. Raises an Error for what is none.
export function fromBase64(text) {
  const plain = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(plain), (letter) => letter.charCodeAt(0));
}
