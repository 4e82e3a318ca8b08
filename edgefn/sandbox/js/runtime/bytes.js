// Text and bytes: TextEncoder, TextDecoder, atob, btoa.

const utf8 = (text) => natives.bytes(text.toWellFormed(), 'utf8');

function viewed(source) {
  if (source === undefined) return new Uint8Array(0);
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  throw wrongType('list', 'an instance of SharedArrayBuffer, ArrayBuffer or ArrayBufferView', source);
}

class TextEncoder {
  get encoding() { return 'utf-8'; }

  encode(text = '') { return utf8(String(text)); }

  encodeInto(text, target) {
    let read = 0;
    let written = 0;
    for (const character of String(text)) {
      const bytes = utf8(character);
      if (written + bytes.length > target.length) break;
      target.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  }
}

class TextDecoder {
  #fatal;

  #ignoreBOM;

  #left = new Uint8Array(0);

  constructor(label = 'utf-8', { fatal = false, ignoreBOM = false } = {}) {
    if (!/^\s*(?:unicode-1-1-)?utf-?8\s*$/i.test(label)) throw refused(RangeError, 'ERR_ENCODING_NOT_SUPPORTED', `The "${label}" encoding is not supported`);
    this.#fatal = Boolean(fatal);
    this.#ignoreBOM = Boolean(ignoreBOM);
  }

  get encoding() { return 'utf-8'; }

  get fatal() { return this.#fatal; }

  get ignoreBOM() { return this.#ignoreBOM; }

  decode(source, { stream = false } = {}) {
    let bytes = viewed(source);
    if (this.#left.length > 0) bytes = joined([this.#left, bytes]);
    const whole = stream ? bytes.length - unfinished(bytes) : bytes.length;
    this.#left = bytes.slice(whole);
    bytes = bytes.subarray(0, whole);
    if (this.#fatal && !natives.isUtf8(bytes)) throw refused(TypeError, 'ERR_ENCODING_INVALID_ENCODED_DATA', 'The encoded data was not valid for encoding utf-8');
    const text = natives.text(bytes, 'utf8');
    return !this.#ignoreBOM && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }
}

// How many bytes at the end begin a character that is not complete.
function unfinished(bytes) {
  for (let back = 1; back <= 3 && back <= bytes.length; back += 1) {
    const byte = bytes[bytes.length - back];
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function latin1Bytes(text) {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

const CHUNK = 4096;

function latin1Text(bytes, mask = 0xff) {
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK) {
    const part = bytes.subarray(at, at + CHUNK);
    text += String.fromCharCode.apply(null, mask === 0xff ? part : part.map((byte) => byte & mask));
  }
  return text;
}

class InvalidCharacterError extends Error {
  get name() { return 'InvalidCharacterError'; }

  get code() { return 5; }
}

function btoa(value) {
  const text = String(value);
  if (/[^\0-\xff]/.test(text)) throw new InvalidCharacterError('The string to be encoded contains characters outside of the Latin1 range.');
  return natives.text(latin1Bytes(text), 'base64');
}

// WHATWG's forgiving base64: white space anywhere, padding right or none.
function atob(value) {
  let text = String(value).replace(/[\t\n\f\r ]/g, '');
  if (text.length % 4 === 0) text = text.replace(/==?$/, '');
  if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text)) throw new InvalidCharacterError('The string to be decoded is not correctly encoded.');
  return latin1Text(natives.bytes(text, 'base64'));
}
