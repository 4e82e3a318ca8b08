// Buffer: a Uint8Array with Node.js's methods.

const ENCODINGS = new Map([
  ['utf8', 'utf8'], ['utf-8', 'utf8'], ['hex', 'hex'], ['base64', 'base64'], ['base64url', 'base64url'],
  ['latin1', 'latin1'], ['binary', 'latin1'], ['ascii', 'ascii'],
  ['utf16le', 'utf16le'], ['utf-16le', 'utf16le'], ['ucs2', 'utf16le'], ['ucs-2', 'utf16le'],
]);

function encodingOf(name) {
  if (name === undefined || name === null || name === '') return 'utf8';
  const encoding = ENCODINGS.get(String(name).toLowerCase());
  if (encoding === undefined) throw new TypeError(`Unknown encoding: ${name}`);
  return encoding;
}

function bytesOf(text, encoding) {
  switch (encoding) {
    case 'latin1':
    case 'ascii': return latin1Bytes(text);
    case 'utf16le': return joined(Array.from({ length: text.length }, (_, at) => [text.charCodeAt(at) & 255, text.charCodeAt(at) >> 8]));
    case 'base64url': return natives.bytes(text, 'base64');
    default: return natives.bytes(text, encoding);
  }
}

function textOf(bytes, encoding) {
  switch (encoding) {
    case 'latin1': return latin1Text(bytes);
    case 'ascii': return latin1Text(bytes, 0x7f);
    case 'utf16le': return String.fromCharCode(...Array.from({ length: bytes.length >> 1 }, (_, at) => bytes[2 * at] | bytes[2 * at + 1] << 8));
    default: return natives.text(bytes, encoding);
  }
}

const asBuffer = (bytes) => Object.setPrototypeOf(bytes, Buffer.prototype);

function outOfRange(what) {
  const error = new RangeError(`The value of "${what}" is out of range.`);
  error.code = 'ERR_OUT_OF_RANGE';
  return error;
}

function sized(size) {
  if (typeof size !== 'number') throw new TypeError('The "size" argument must be of type number.');
  if (!(size >= 0)) throw outOfRange('size');
  return new Uint8Array(size);
}

// A position as `slice` reads it.
const placed = (at, size, otherwise) => {
  const index = at === undefined ? otherwise : Math.trunc(at) || 0;
  return index < 0 ? Math.max(size + index, 0) : Math.min(index, size);
};

class Buffer extends Uint8Array {
  static from(value, encoding, length) {
    if (typeof value === 'string') return asBuffer(bytesOf(value, encodingOf(encoding)));
    if (value instanceof ArrayBuffer) return asBuffer(new Uint8Array(value, encoding, length));
    if (ArrayBuffer.isView(value)) return asBuffer(Uint8Array.from(value));
    if (Array.isArray(value)) return asBuffer(Uint8Array.from(value));
    if (value !== null && typeof value === 'object') {
      if (value.type === 'Buffer' && Array.isArray(value.data)) return asBuffer(Uint8Array.from(value.data));
      const primitive = value.valueOf();
      if (primitive !== value && primitive !== null && primitive !== undefined) return Buffer.from(primitive, encoding, length);
      if (typeof value.length === 'number') return asBuffer(Uint8Array.from(value));
    }
    throw new TypeError('The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array.');
  }

  static of(...bytes) { return asBuffer(Uint8Array.from(bytes)); }

  static alloc(size, fill, encoding) {
    const buffer = asBuffer(sized(size));
    return fill === undefined || fill === 0 || size === 0 ? buffer : buffer.fill(fill, 0, size, encoding);
  }

  static allocUnsafe(size) { return asBuffer(sized(size)); }

  static allocUnsafeSlow(size) { return asBuffer(sized(size)); }

  static byteLength(value, encoding) {
    return typeof value === 'string' ? bytesOf(value, encodingOf(encoding)).length : value.byteLength;
  }

  static compare(one, other) {
    const size = Math.min(one.length, other.length);
    for (let at = 0; at < size; at += 1) if (one[at] !== other[at]) return one[at] < other[at] ? -1 : 1;
    return Math.sign(one.length - other.length);
  }

  static concat(list, size) {
    const whole = joined(list);
    if (size === undefined || size === whole.length) return asBuffer(whole);
    const cut = new Uint8Array(size);
    cut.set(whole.subarray(0, size));
    return asBuffer(cut);
  }

  static isBuffer(value) { return value instanceof Buffer; }

  static isEncoding(name) { return typeof name === 'string' && ENCODINGS.has(name.toLowerCase()); }

  compare(other, otherStart = 0, otherEnd = other.length, start = 0, end = this.length) {
    return Buffer.compare(this.subarray(start, end), other.subarray(otherStart, otherEnd));
  }

  copy(target, at = 0, start = 0, end = this.length) {
    const part = this.subarray(start, Math.min(end, start + Math.max(target.length - at, 0)));
    target.set(part, at);
    return part.length;
  }

  equals(other) { return Buffer.compare(this, other) === 0; }

  fill(value, start, end, encoding) {
    if (typeof start === 'string') return this.fill(value, 0, this.length, start);
    if (typeof end === 'string') return this.fill(value, start, this.length, end);
    const from = start === undefined ? 0 : start;
    const to = end === undefined ? this.length : end;
    if (from < 0 || to > this.length) throw outOfRange('offset');
    if (typeof value === 'number' || typeof value === 'boolean') {
      super.fill(Number(value) & 255, from, to);
      return this;
    }
    const pattern = typeof value === 'string' ? bytesOf(value, encodingOf(encoding)) : value;
    for (let at = from; at < to; at += 1) this[at] = pattern.length ? pattern[(at - from) % pattern.length] : 0;
    return this;
  }

  includes(value, at, encoding) { return this.indexOf(value, at, encoding) !== -1; }

  indexOf(value, at, encoding) {
    const from = typeof at === 'string' ? 0 : placed(at, this.length, 0);
    return found(this, value, from, 1, typeof at === 'string' ? at : encoding);
  }

  lastIndexOf(value, at, encoding) {
    const from = typeof at === 'string' ? this.length : at < 0 ? this.length + at : at === undefined ? this.length : at;
    return found(this, value, from, -1, typeof at === 'string' ? at : encoding);
  }

  subarray(start, end) { return asBuffer(Uint8Array.prototype.subarray.call(plainView(this), start, end)); }

  slice(start, end) { return this.subarray(start, end); }

  swap16() { return swapped(this, 2); }

  swap32() { return swapped(this, 4); }

  swap64() { return swapped(this, 8); }

  toJSON() { return { type: 'Buffer', data: Array.from(this) }; }

  toString(encoding, start, end) {
    const from = placed(start, this.length, 0);
    const to = placed(end, this.length, this.length);
    return textOf(this.subarray(from, Math.max(from, to)), encodingOf(encoding));
  }

  toLocaleString(encoding, start, end) { return this.toString(encoding, start, end); }

  write(text, at, length, encoding) {
    if (typeof at === 'string') return this.write(text, 0, this.length, at);
    if (typeof length === 'string') return this.write(text, at, undefined, length);
    const from = at === undefined ? 0 : at;
    const room = Math.min(length === undefined ? this.length - from : length, this.length - from);
    if (from < 0 || from > this.length) throw outOfRange('offset');
    const name = encodingOf(encoding);
    let bytes = bytesOf(text, name).subarray(0, room);
    if (name === 'utf8') bytes = bytes.subarray(0, bytes.length - unfinished(bytes));
    this.set(bytes, from);
    return bytes.length;
  }

  readUIntBE(at, size) { return assembled(this, at, size, false); }

  readUIntLE(at, size) { return assembled(this, at, size, true); }

  readIntBE(at, size) { return signed(assembled(this, at, size, false), size); }

  readIntLE(at, size) { return signed(assembled(this, at, size, true), size); }

  writeUIntBE(value, at, size) { return spread(this, value, at, size, false, 0, 2 ** (8 * size) - 1); }

  writeUIntLE(value, at, size) { return spread(this, value, at, size, true, 0, 2 ** (8 * size) - 1); }

  writeIntBE(value, at, size) { return spread(this, value, at, size, false, -(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1); }

  writeIntLE(value, at, size) { return spread(this, value, at, size, true, -(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1); }
}

const plainView = (buffer) => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);

function found(buffer, value, from, step, encoding) {
  if (typeof value === 'number') {
    for (let at = from; at >= 0 && at < buffer.length; at += step) if (buffer[at] === (value & 255)) return at;
    return -1;
  }
  const pattern = typeof value === 'string' ? bytesOf(value, encodingOf(encoding)) : value;
  for (let at = Math.min(from, buffer.length - pattern.length); at >= 0 && at <= buffer.length - pattern.length; at += step) {
    let same = 0;
    while (same < pattern.length && buffer[at + same] === pattern[same]) same += 1;
    if (same === pattern.length) return at;
  }
  return -1;
}

function swapped(buffer, size) {
  if (buffer.length % size !== 0) throw new RangeError(`Buffer size must be a multiple of ${8 * size}-bits`);
  for (let at = 0; at < buffer.length; at += size) buffer.subarray(at, at + size).reverse();
  return buffer;
}

function inside(buffer, at, size) {
  if (typeof at !== 'number') throw new TypeError('The "offset" argument must be of type number.');
  if (!Number.isInteger(at) || at < 0 || at + size > buffer.length) throw outOfRange('offset');
}

function assembled(buffer, at, size, little) {
  if (!Number.isInteger(size) || size < 1 || size > 6) throw outOfRange('byteLength');
  inside(buffer, at, size);
  let value = 0;
  for (let step = 0; step < size; step += 1) value = value * 256 + buffer[little ? at + size - 1 - step : at + step];
  return value;
}

const signed = (value, size) => (value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value);

function spread(buffer, value, at, size, little, least, most) {
  if (!Number.isInteger(size) || size < 1 || size > 6) throw outOfRange('byteLength');
  inside(buffer, at, size);
  let rest = Number(value);
  if (rest < least || rest > most) throw outOfRange('value');
  if (rest < 0) rest += 2 ** (8 * size);
  for (let step = 0; step < size; step += 1) {
    buffer[little ? at + step : at + size - 1 - step] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return at + size;
}

const NUMBERS = [
  ['Int8', 1, -128, 127], ['Uint8', 1, 0, 255], ['Int16', 2, -32768, 32767], ['Uint16', 2, 0, 65535],
  ['Int32', 4, -(2 ** 31), 2 ** 31 - 1], ['Uint32', 4, 0, 2 ** 32 - 1],
  ['BigInt64', 8, -(2n ** 63n), 2n ** 63n - 1n], ['BigUint64', 8, 0n, 2n ** 64n - 1n],
  ['Float32', 4], ['Float64', 8],
];
const NODE_NAMES = { Float32: 'Float', Float64: 'Double' };

function addNumber(kind, size, least, most, little, ending) {
  const name = NODE_NAMES[kind] || kind;
  const [getter, setter] = [DataView.prototype[`get${kind}`], DataView.prototype[`set${kind}`]];
  const view = (buffer) => new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  const read = function read(at = 0) {
    inside(this, at, size);
    return getter.call(view(this), at, little);
  };
  const write = function write(value, at = 0) {
    if (least !== undefined && (value < least || value > most)) throw outOfRange('value');
    inside(this, at, size);
    setter.call(view(this), at, value, little);
    return at + size;
  };
  for (const alias of new Set([name, name.replace('Uint', 'UInt')])) {
    hidden(Buffer.prototype, `read${alias}${ending}`, read);
    hidden(Buffer.prototype, `write${alias}${ending}`, write);
  }
}

for (const [kind, size, least, most] of NUMBERS) {
  if (size === 1) addNumber(kind, size, least, most, true, '');
  else for (const [little, ending] of [[true, 'LE'], [false, 'BE']]) addNumber(kind, size, least, most, little, ending);
}
for (const name of ['readUIntBE', 'readUIntLE', 'writeUIntBE', 'writeUIntLE']) {
  hidden(Buffer.prototype, name.replace('UInt', 'Uint'), Buffer.prototype[name]);
}
hidden(Buffer, 'poolSize', 8192);
