// The module crypto: hashes and keyed hashes. `digested` makes what `digest()` returns without an encoding.

let digested = (bytes) => asBuffer(bytes);
let hashNames = ['md5', 'sha1', 'sha256'];

function asBytes(data, encoding) {
  if (typeof data === 'string') return bytesOf(data, encodingOf(encoding));
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return viewed(data);
  throw wrongType('data', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
}

const plainHash = (name) => String(name).toLowerCase().replace(/^(?:rsa-)?sha-?(?=\d)/, 'sha');
const isHash = (name) => hashNames.includes(plainHash(name));

function hashName(name) {
  if (!isHash(name)) throw new Error(`Digest method not supported: ${name}`);
  return plainHash(name);
}

function encodedDigest(bytes, encoding) {
  if (encoding === undefined || encoding === 'buffer') return digested(bytes);
  return textOf(bytes, encodingOf(encoding));
}

const finalized = () => refused(Error, 'ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');

class Hash {
  #name;

  #key;

  #parts = [];

  #done = false;

  constructor(name, key) {
    this.#name = hashName(name);
    this.#key = key;
  }

  update(data, encoding) {
    if (this.#done) throw finalized();
    this.#parts.push(asBytes(data, encoding).slice());
    return this;
  }

  digest(encoding) {
    if (this.#done) throw finalized();
    this.#done = true;
    return encodedDigest(natives.digest(this.#name, joined(this.#parts), this.#key), encoding);
  }

  copy() {
    const twin = new Hash(this.#name, this.#key);
    twin.#parts = [...this.#parts];
    return twin;
  }
}

class Hmac extends Hash {}

function keyBytes(key) {
  if (typeof key === 'string' || key instanceof ArrayBuffer || ArrayBuffer.isView(key)) return asBytes(key);
  throw wrongType('key', 'of type string or an instance of ArrayBuffer, Buffer, TypedArray, or DataView', key);
}

const crypto = {
  createHash: (name) => new Hash(name),
  createHmac(name, key) {
    if (!isHash(name)) throw refused(TypeError, 'ERR_CRYPTO_INVALID_DIGEST', `Invalid digest: ${name}`);
    return new Hmac(name, keyBytes(key));
  },
};
