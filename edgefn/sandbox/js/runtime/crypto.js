// The module crypto: hashes and keyed hashes. `digested` makes what `digest()` returns without an encoding.

let digested = (bytes) => asBuffer(bytes);
let hashNames = ['md5', 'sha1', 'sha256'];

function asBytes(data, encoding) {
  if (typeof data === 'string') return bytesOf(data, encodingOf(encoding));
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return viewed(data);
  throw new TypeError('The "data" argument must be of type string or an instance of Buffer, TypedArray, or DataView.');
}

const hashName = (name) => {
  const plainName = String(name).toLowerCase().replace(/^(?:rsa-)?sha-?(?=\d)/, 'sha');
  if (!hashNames.includes(plainName)) throw new Error(`Digest method not supported: ${name}`);
  return plainName;
};

function encodedDigest(bytes, encoding) {
  if (encoding === undefined || encoding === 'buffer') return digested(bytes);
  return textOf(bytes, encodingOf(encoding));
}

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
    if (this.#done) throw new Error('Digest already called');
    this.#parts.push(asBytes(data, encoding).slice());
    return this;
  }

  digest(encoding) {
    if (this.#done) throw new Error('Digest already called');
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

const crypto = {
  createHash: (name) => new Hash(name),
  createHmac: (name, key) => new Hmac(name, asBytes(key)),
};
