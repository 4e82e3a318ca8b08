// cloudfront-js-2.0, cf.cwt: CBOR Web Tokens (RFC 8392) in a COSE_Mac0 structure with HMAC-SHA256 (RFC 9052 section 6.2).

const MOST_TOKEN = 1024;
const DEEPEST_TOKEN = 16;
const CWT_TAG = 61;
const MAC0_TAG = 17;
const TAG_SIZES = { 4: 8, 5: 32 }; // HMAC 256/64 and HMAC 256/256

const broken = (why) => new Error(`Invalid token: ${why}`);

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(size) {
    if (size > this.bytes.length - this.at) throw broken('it ends too soon');
    this.at += size;
    return asBuffer(this.bytes.slice(this.at - size, this.at));
  }

  // The number in a head: small, or in the bytes behind it.
  count(info) {
    if (info < 24) return info;
    if (info > 27) throw broken('it has something of no fixed length');
    if (info === 27) {
      const wide = this.take(8).readBigUInt64BE();
      return wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide;
    }
    return this.take(2 ** (info - 24)).readUIntBE(0, 2 ** (info - 24));
  }

  value(depth = 0) {
    if (depth > DEEPEST_TOKEN) throw broken('it is nested too deeply');
    const [head] = this.take(1);
    const info = head & 31;
    if (head >> 5 === 7) return this.simple(info);
    const count = this.count(info);
    switch (head >> 5) {
      case 0: return count;
      case 1: return typeof count === 'bigint' ? -1n - count : -1 - count;
      case 2: return this.take(count);
      case 3: return natives.text(this.take(count), 'utf8');
      case 4: return this.items(count, () => this.value(depth + 1));
      case 5: return objectOfPairs(this.items(count, () => [this.value(depth + 1), this.value(depth + 1)]));
      default: return depth === 0 ? { tag: count, value: this.value(depth + 1) } : this.value(depth + 1);
    }
  }

  items(count, make) {
    if (count > this.bytes.length - this.at) throw broken('it ends too soon');
    return Array.from({ length: Number(count) }, make);
  }

  simple(info) {
    switch (info) {
      case 20: return false;
      case 21: return true;
      case 22: return null;
      case 23: return undefined;
      case 25: return halfFloat(this.take(2).readUInt16BE());
      case 26: return this.take(4).readFloatBE();
      case 27: return this.take(8).readDoubleBE();
      default: throw broken('it has a value that nobody knows');
    }
  }
}

function halfFloat(bits) {
  const [exponent, fraction, sign] = [bits >> 10 & 31, bits & 1023, bits >> 15 ? -1 : 1];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
}

function objectOfPairs(pairs) {
  const object = {};
  for (const [key, value] of pairs) {
    defineProperty(object, String(key), { value, writable: true, configurable: true, enumerable: true });
  }
  return object;
}

function decoded(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value();
  if (reader.at !== bytes.length) throw broken('something follows it');
  return value;
}

function head(kind, count) {
  if (count < 24) return [kind << 5 | count];
  const size = count < 2 ** 8 ? 1 : count < 2 ** 16 ? 2 : count < 2 ** 32 ? 4 : 8;
  const bytes = Buffer.alloc(size);
  if (size === 8) bytes.writeBigUInt64BE(BigInt(count));
  else bytes.writeUIntBE(count, 0, size);
  return [kind << 5 | 24 + Math.log2(size), ...bytes];
}

function encodedNumber(value) {
  if (Number.isSafeInteger(value)) return value < 0 ? head(1, -1 - value) : head(0, value);
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return [0xfb, ...bytes];
}

// The labels of claims and headers are numbers, which a JavaScript object can't have as keys.
const label = (key) => (/^(?:0|-?[1-9]\d{0,14})$/.test(key) ? Number(key) : key);

function encoded(value) {
  switch (typeof value) {
    case 'number': return encodedNumber(value);
    case 'string': {
      const bytes = utf8(value);
      return [...head(3, bytes.length), ...bytes];
    }
    case 'boolean': return [value ? 0xf5 : 0xf4];
    case 'undefined': return [0xf7];
    case 'object': break;
    default: throw new TypeError(`A token can not hold a ${typeof value}`);
  }
  if (value === null) return [0xf6];
  if (isBytes(value)) return [...head(2, value.length), ...value];
  if (Array.isArray(value)) return [...head(4, value.length), ...value.flatMap(encoded)];
  const pairs = value instanceof Map ? [...value] : entries(value).map(([key, item]) => [label(key), item]);
  return [...head(5, pairs.length), ...pairs.flatMap(([key, item]) => [...encoded(key), ...encoded(item)])];
}

function macOf(algorithm, key, protectedBytes, payload) {
  const size = TAG_SIZES[algorithm];
  if (size === undefined) throw broken(`the algorithm ${algorithm} is not supported: only HMAC-SHA256 is`);
  const signed = Uint8Array.from(encoded(['MAC0', protectedBytes, new Uint8Array(0), payload]));
  return natives.digest('sha256', signed, keyBytes(key)).subarray(0, size);
}

function isEqual(one, other) {
  return one.length === other.length && one.reduce((difference, byte, at) => difference | byte ^ other[at], 0) === 0;
}

// Checks the signature and nothing else: what the claims say is the function's business.
function validateToken(token, context) {
  checkBytes(token, 'token');
  if (token.length > MOST_TOKEN) throw new RangeError(`A token has at most ${MOST_TOKEN} bytes`);
  let { tag, value } = decoded(token);
  if (tag === CWT_TAG) ({ tag, value } = { tag: MAC0_TAG, value: untagged(token) });
  if (tag !== MAC0_TAG || !Array.isArray(value) || value.length !== 4) throw broken('it is no COSE_Mac0 structure');
  const [protectedBytes, unprotectedHeaders, payload, mac] = value;
  if (![protectedBytes, payload, mac].every(isBytes)) throw broken('it is no COSE_Mac0 structure');
  const protectedHeaders = protectedBytes.length > 0 ? decoded(protectedBytes) : {};
  if (!isEqual(mac, macOf(protectedHeaders['1'], objectOf(context, 'The context').key, protectedBytes, payload))) {
    throw broken('the signature does not match');
  }
  return { protectedHeaders, unprotectedHeaders, payload: decoded(payload) };
}

// What the outer tag, of two bytes, holds: it must be the inner one.
function untagged(token) {
  const inner = decoded(token.subarray(2));
  if (inner === null || typeof inner !== 'object' || inner.tag !== MAC0_TAG) throw broken('it is no COSE_Mac0 structure');
  return inner.value;
}

const isContext = (value) => value !== null && typeof value === 'object' && value.coseTag !== undefined;

// AWS's signature has the context first, and its examples have it last: both are taken.
function generateToken(first, second) {
  const [context, token] = isContext(first) ? [first, second] : [second, first];
  objectOf(token, 'The token');
  if (!isContext(context) || context.coseTag !== 'MAC0') throw new TypeError('The context must have the coseTag "MAC0"');
  const headers = { ...(token.protectedHeaders || token.protected) };
  headers['1'] = headers['1'] === undefined ? 5 : Number(headers['1']);
  const protectedBytes = Uint8Array.from(encoded(headers));
  const payload = Uint8Array.from(encoded(objectOf(token.payload, 'The payload')));
  const mac = macOf(headers['1'], context.key, protectedBytes, payload);
  const structure = encoded([protectedBytes, token.unprotectedHeaders || token.unprotected || {}, payload, mac]);
  const whole = [...(context.cwtTag ? head(6, CWT_TAG) : []), ...head(6, MAC0_TAG), ...structure];
  if (whole.length > MOST_TOKEN) throw new RangeError(`A token has at most ${MOST_TOKEN} bytes`);
  return asBuffer(Uint8Array.from(whole));
}

cloudfront.cwt = { validateToken, generateToken };
