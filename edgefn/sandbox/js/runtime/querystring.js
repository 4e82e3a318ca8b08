// The module querystring, as Node.js and CloudFront Functions have it.

const HEX_PAIR = /^[0-9A-Fa-f]{2}$/;

// Percent-decoding that never throws: bytes that are not UTF-8 become U+FFFD, a lone % stays.
function unescapeLoosely(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    const source = latin1Bytes(text); // as Node.js does it: of each character the last eight bits
    const bytes = [];
    for (let at = 0; at < source.length; at += 1) {
      const pair = source[at] === 0x25 ? String.fromCharCode(source[at + 1], source[at + 2]) : '';
      bytes.push(HEX_PAIR.test(pair) ? parseInt(pair, 16) : source[at]);
      if (HEX_PAIR.test(pair)) at += 2;
    }
    return natives.text(Uint8Array.from(bytes), 'utf8');
  }
}

function escapeStrictly(text) {
  const plainText = typeof text === 'object' ? String(text) : `${text}`;
  if (!plainText.isWellFormed()) throw refused(URIError, 'ERR_INVALID_URI', 'URI malformed');
  return encodeURIComponent(plainText);
}

let newQuery = () => ({});
const ENCODED = /%[0-9A-Fa-f]{2}/;

function parseQuery(text, separator = '&', equals = '=', options = undefined) {
  const found = newQuery();
  const { decodeURIComponent: given, maxKeys = 1000 } = options || {};
  if (typeof text !== 'string' || text === '') return found;
  const decode = typeof given === 'function' ? given : querystring.unescape;
  const isOurs = decode === unescapeLoosely;
  const decoded = (part) => {
    const spaced = part.replace(/\+/g, isOurs ? ' ' : '%20');
    if (isOurs && !ENCODED.test(spaced)) return spaced;
    try {
      return decode(spaced);
    } catch {
      return unescapeLoosely(spaced);
    }
  };
  const pieces = text.split(separator || '&');
  for (const piece of maxKeys > 0 ? pieces.slice(0, maxKeys) : pieces) {
    if (piece === '') continue;
    const border = piece.indexOf(equals || '=');
    const name = decoded(border < 0 ? piece : piece.slice(0, border));
    const value = border < 0 ? '' : decoded(piece.slice(border + (equals || '=').length));
    const before = Object.hasOwn(found, name) ? found[name] : undefined;
    const after = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
    defineProperty(found, name, { value: after, writable: true, configurable: true, enumerable: true });
  }
  return found;
}

function primitive(value) {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : '';
  return typeof value === 'bigint' || typeof value === 'boolean' ? String(value) : '';
}

function stringifyQuery(object, separator = '&', equals = '=', options = undefined) {
  const { encodeURIComponent: given } = options || {};
  const encode = typeof given === 'function' ? given : querystring.escape;
  if (object === null || typeof object !== 'object') return '';
  return entries(object).flatMap(([name, value]) => {
    const start = encode(name) + (equals || '=');
    return (Array.isArray(value) ? value : [value]).map((item) => start + encode(primitive(item)));
  }).join(separator || '&');
}

const querystring = {
  escape: escapeStrictly,
  unescape: unescapeLoosely,
  parse: parseQuery,
  stringify: stringifyQuery,
  decode: parseQuery,
  encode: stringifyQuery,
};
