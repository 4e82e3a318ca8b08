// Buffer: a Uint8Array with Node.js's methods. Its numbers are in numbers.js.

const ENCODINGS = new Map([
  ['utf8', 'utf8'], ['utf-8', 'utf8'], ['hex', 'hex'], ['base64', 'base64'], ['base64url', 'base64url'],
  ['latin1', 'latin1'], ['binary', 'latin1'], ['ascii', 'ascii'],
  ['utf16le', 'utf16le'], ['utf-16le', 'utf16le'], ['ucs2', 'utf16le'], ['ucs-2', 'utf16le'],
]);

const knownEncoding = (name) => ENCODINGS.get(String(name).toLowerCase());

// What is not given is utf8; what nobody knows is an error.
function encodingOf(name) {
  if (name === undefined || name === null || name === '') return 'utf8';
  const encoding = knownEncoding(name);
  if (encoding === undefined) throw unknownEncoding(name);
  return encoding;
}

function utf16Bytes(text) {
  const bytes = new Uint8Array(2 * text.length);
  for (let at = 0; at < text.length; at += 1) {
    bytes[2 * at] = text.charCodeAt(at);
    bytes[2 * at + 1] = text.charCodeAt(at) >> 8;
  }
  return bytes;
}

function utf16Text(bytes) {
  let text = '';
  for (let at = 0; at + 1 < bytes.length; at += 2) text += String.fromCharCode(bytes[at] | bytes[at + 1] << 8);
  return text;
}

function bytesOf(text, encoding) {
  switch (encoding) {
    case 'utf8': return utf8(text);
    case 'latin1':
    case 'ascii': return latin1Bytes(text);
    case 'utf16le': return utf16Bytes(text);
    case 'base64url': return natives.bytes(text, 'base64');
    default: return natives.bytes(text, encoding);
  }
}

function textOf(bytes, encoding) {
  switch (encoding) {
    case 'latin1': return latin1Text(bytes);
    case 'ascii': return latin1Text(bytes, 0x7f);
    case 'utf16le': return utf16Text(bytes);
    default: return natives.text(bytes, encoding);
  }
}

const asBuffer = (bytes) => Object.setPrototypeOf(bytes, Buffer.prototype);
const plainView = (buffer) => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
const kinds = 'of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object';

function sized(size) {
  checkNumber(size, 'size');
  if (!(size >= 0 && size <= Number.MAX_SAFE_INTEGER)) throw outOfRange('size', `>= 0 && <= ${Number.MAX_SAFE_INTEGER}`, size);
  return new Uint8Array(size);
}

// `new Buffer(...)` and `Buffer(...)` are old, and in use.
function Buffer(value, encoding, length) {
  return typeof value === 'number' ? Buffer.alloc(value) : Buffer.from(value, encoding, length);
}
Object.setPrototypeOf(Buffer, Uint8Array);
Buffer.prototype = Object.create(Uint8Array.prototype, { constructor: { value: Buffer, writable: true, configurable: true } });

function fromArrayBuffer(buffer, start, length) {
  const from = Number(start) || 0;
  const most = buffer.byteLength - from;
  if (most < 0) throw outOfBounds('offset');
  if (length === undefined) return asBuffer(new Uint8Array(buffer, from, most));
  const size = Number(length);
  if (size > most) throw outOfBounds('length');
  return asBuffer(new Uint8Array(buffer, from, size > 0 ? size : 0));
}

function fromObject(value, encoding, length) {
  if (value instanceof ArrayBuffer) return fromArrayBuffer(value, encoding, length);
  const primitive = typeof value.valueOf === 'function' ? value.valueOf() : value;
  if (primitive !== value && (typeof primitive === 'string' || (typeof primitive === 'object' && primitive !== null))) {
    return Buffer.from(primitive, encoding, length);
  }
  if (value.length !== undefined) return asBuffer(typeof value.length === 'number' ? Uint8Array.from(value) : new Uint8Array(0));
  if (value.type === 'Buffer' && Array.isArray(value.data)) return asBuffer(Uint8Array.from(value.data));
  const made = typeof value[Symbol.toPrimitive] === 'function' ? value[Symbol.toPrimitive]('string') : undefined;
  if (typeof made === 'string') return Buffer.from(made, encoding);
  throw wrongType('first argument', kinds, value);
}

const ofClass = {
  from(value, encoding, length) {
    if (typeof value === 'string') return asBuffer(bytesOf(value, typeof encoding === 'string' ? encodingOf(encoding) : 'utf8'));
    if (value !== null && typeof value === 'object') return fromObject(value, encoding, length);
    throw wrongType('first argument', kinds, value);
  },

  of(...bytes) { return asBuffer(Uint8Array.from(bytes)); },

  alloc(size, fill, encoding) {
    const buffer = asBuffer(sized(size));
    return fill === undefined || fill === 0 || buffer.length === 0 ? buffer : buffer.fill(fill, 0, buffer.length, encoding);
  },

  allocUnsafe(size) { return asBuffer(sized(size)); },

  allocUnsafeSlow(size) { return asBuffer(sized(size)); },

  byteLength(value, encoding) {
    if (typeof value !== 'string') {
      if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
      throw wrongType('string', 'of type string or an instance of Buffer or ArrayBuffer', value);
    }
    switch (knownEncoding(encoding)) {
      case 'latin1':
      case 'ascii': return value.length;
      case 'utf16le': return 2 * value.length;
      case 'hex': return value.length >>> 1;
      case 'base64':
      case 'base64url': return (Math.max(value.length - /={0,2}$/.exec(value)[0].length, 0) * 3) >>> 2;
      default: return utf8(value).length;
    }
  },

  compare(one, other) {
    checkBytes(one, 'buf1');
    checkBytes(other, 'buf2');
    return ordered(one, other);
  },

  concat(list, size) {
    if (!Array.isArray(list)) throw wrongType('list', 'an instance of Array', list);
    list.forEach((part, at) => checkBytes(part, `list[${at}]`));
    if (size !== undefined) checkInteger(size, 'length', 0, Number.MAX_SAFE_INTEGER);
    const whole = joined(list);
    if (size === undefined || size === whole.length) return asBuffer(whole);
    const cut = new Uint8Array(size);
    cut.set(whole.subarray(0, size));
    return asBuffer(cut);
  },

  isBuffer(value) { return value instanceof Buffer; },

  isEncoding(name) { return typeof name === 'string' && ENCODINGS.has(name.toLowerCase()); },
};
for (const [name, value] of entries(ofClass)) hidden(Buffer, name, value);
hidden(Buffer, 'poolSize', 8192);

function ordered(one, other) {
  const size = Math.min(one.length, other.length);
  for (let at = 0; at < size; at += 1) if (one[at] !== other[at]) return one[at] < other[at] ? -1 : 1;
  return Math.sign(one.length - other.length);
}

// A position that may be left out, and has to lie in the buffer.
function position(value, name, most, otherwise) {
  if (value === undefined) return otherwise;
  checkInteger(value, name, 0, most);
  return value;
}

// A position that is made an integer first, whatever it was.
function loosePosition(value, name, otherwise, most) {
  if (value === undefined) return otherwise;
  const number = Math.trunc(Number(value)) || 0;
  if (number < 0 || number > most) throw outOfRange(name, most === Infinity ? '>= 0' : `>= 0 && <= ${most}`, value);
  return number;
}

const ofInstance = {
  compare(other, otherStart, otherEnd, start, end) {
    checkBytes(other, 'target');
    const from = position(otherStart, 'targetStart', Number.MAX_SAFE_INTEGER, 0);
    const to = position(otherEnd, 'targetEnd', other.length, other.length);
    const mine = position(start, 'sourceStart', Number.MAX_SAFE_INTEGER, 0);
    const myEnd = position(end, 'sourceEnd', this.length, this.length);
    return ordered(this.subarray(mine, Math.max(mine, myEnd)), other.subarray(from, Math.max(from, to)));
  },

  copy(target, at, start, end) {
    checkBytes(target, 'target');
    const to = loosePosition(at, 'targetStart', 0, Infinity);
    const from = loosePosition(start, 'sourceStart', 0, this.length);
    const until = Math.min(loosePosition(end, 'sourceEnd', this.length, Infinity), this.length, from + target.length - to);
    if (to >= target.length || from >= until) return 0;
    target.set(plainView(this).subarray(from, until), to);
    return until - from;
  },

  equals(other) {
    checkBytes(other, 'otherBuffer');
    return ordered(this, other) === 0;
  },

  fill(value, start, end, encoding) {
    if (typeof value === 'string' && typeof start === 'string') return this.fill(value, 0, this.length, start);
    if (typeof value === 'string' && typeof end === 'string') return this.fill(value, start, this.length, end);
    const pattern = typeof value === 'string' ? bytesOf(value, encodingOf(encoding)) : value;
    const most = start === undefined ? this.length : position(end, 'end', this.length, this.length);
    const from = position(start, 'offset', Number.MAX_SAFE_INTEGER, 0);
    if (!isBytes(pattern) || value === '') {
      Uint8Array.prototype.fill.call(this, pattern & 255, from, most);
      return this;
    }
    if (from >= most) return this;
    if (pattern.length === 0) throw refused(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument 'value' is invalid. Received ${shown(value)}`);
    for (let at = from; at < most; at += 1) this[at] = pattern[(at - from) % pattern.length];
    return this;
  },

  includes(value, at, encoding) { return this.indexOf(value, at, encoding) !== -1; },

  indexOf(value, at, encoding) { return located(this, value, at, encoding, 1); },

  lastIndexOf(value, at, encoding) { return located(this, value, at, encoding, -1); },

  subarray(start, end) { return asBuffer(plainView(this).subarray(start, end)); },

  slice(start, end) { return this.subarray(start, end); },

  swap16() { return swapped(this, 2); },

  swap32() { return swapped(this, 4); },

  swap64() { return swapped(this, 8); },

  toJSON() { return { type: 'Buffer', data: Array.from(this) }; },

  toString(encoding, start, end) {
    const from = start > 0 ? Math.trunc(start) || 0 : 0;
    const to = end === undefined || end > this.length ? this.length : Math.trunc(end) || 0;
    if (to <= from) return '';
    const name = encoding === undefined ? 'utf8' : knownEncoding(encoding);
    if (name === undefined) throw unknownEncoding(encoding);
    return textOf(plainView(this).subarray(from, to), name);
  },

  toLocaleString(encoding, start, end) { return this.toString(encoding, start, end); },

  write(text, at, length, encoding) {
    if (typeof at === 'string' && length === undefined) return this.write(text, 0, this.length, at);
    const from = position(at, 'offset', this.length, 0);
    if (typeof length === 'string') return this.write(text, from, undefined, length);
    const room = Math.min(position(length, 'length', this.length, this.length), this.length - from);
    const name = encodingOf(encoding);
    if (typeof text !== 'string') throw refused(TypeError, 'ERR_INVALID_ARG_TYPE', 'argument must be a string');
    let bytes = bytesOf(text, name).subarray(0, room);
    if (name === 'utf8') bytes = bytes.subarray(0, bytes.length - unfinished(bytes));
    if (name === 'utf16le') bytes = bytes.subarray(0, bytes.length & ~1);
    this.set(bytes, from);
    return bytes.length;
  },
};
for (const [name, value] of entries(ofInstance)) hidden(Buffer.prototype, name, value);

// Where a search begins: -1 where there is nothing to look at (Node.js's own rule, also for what is empty).
function startOf(size, at, needed, step) {
  if (at < 0) {
    if (at + size >= 0) return size + at;
    return step > 0 || needed === 0 ? 0 : -1;
  }
  if (at + needed <= size) return at;
  if (needed === 0) return size;
  return step > 0 ? -1 : size - 1;
}

function located(buffer, value, at, encoding, step) {
  if (typeof at === 'string') return located(buffer, value, undefined, at, step);
  let from = Math.trunc(Number(at));
  if (Number.isNaN(from)) from = step > 0 ? 0 : buffer.length;
  if (typeof value === 'number') return nextOf(buffer, value & 255, startOf(buffer.length, from, 1, step), step);
  if (typeof value !== 'string' && !isBytes(value)) {
    throw wrongType('value', 'one of type number or string or an instance of Buffer or Uint8Array', value);
  }
  const name = encodingOf(encoding);
  const pattern = typeof value === 'string' ? bytesOf(value, name) : value;
  const start = startOf(buffer.length, from, pattern.length, step);
  if (pattern.length === 0 || start < 0) return start;
  return nextPattern(buffer, pattern, Math.min(start, buffer.length - pattern.length), step, name === 'utf16le' ? 2 : 1);
}

function nextOf(buffer, byte, from, step) {
  for (let at = from; at >= 0 && at < buffer.length; at += step) if (buffer[at] === byte) return at;
  return -1;
}

function nextPattern(buffer, pattern, from, step, unit) {
  for (let at = from - from % unit; at >= 0 && at <= buffer.length - pattern.length; at += step * unit) {
    let same = 0;
    while (same < pattern.length && buffer[at + same] === pattern[same]) same += 1;
    if (same === pattern.length) return at;
  }
  return -1;
}

function swapped(buffer, size) {
  if (buffer.length % size !== 0) throw refused(RangeError, 'ERR_INVALID_BUFFER_SIZE', `Buffer size must be a multiple of ${8 * size}-bits`);
  for (let at = 0; at < buffer.length; at += size) plainView(buffer).subarray(at, at + size).reverse();
  return buffer;
}
