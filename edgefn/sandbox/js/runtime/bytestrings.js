// Strings of bytes in CloudFront Functions: each character is one byte.

const stringBytes = (text, start, end) => latin1Bytes(text.slice(start, end));

const bytesOnly = (text) => !/[^\0-\xff]/.test(text);

hidden(String, 'bytesFrom', (value, encoding) => {
  if (Array.isArray(value)) return latin1Text(Uint8Array.from(value));
  if (!['hex', 'base64', 'base64url'].includes(encoding)) throw new TypeError(`Unknown encoding: "${encoding}"`);
  return latin1Text(bytesOf(String(value), encoding));
});
hidden(String.prototype, 'fromBytes', function fromBytes(start, end) { return this.slice(start, end); });
hidden(String.prototype, 'toBytes', function toBytes(start, end) { return bytesOnly(this) ? this.slice(start, end) : null; });
hidden(String.prototype, 'fromUTF8', function fromUTF8(start, end) {
  const bytes = stringBytes(String(this), start, end);
  return bytesOnly(this) && natives.isUtf8(bytes) ? natives.text(bytes, 'utf8') : null;
});
hidden(String.prototype, 'toUTF8', function toUTF8(start, end) { return latin1Text(utf8(this.slice(start, end))); });
