// The rest of the module crypto for Lambda@Edge handlers: randomness, keys made of passwords, comparing in constant time.

newQuery = () => Object.create(null);
hashNames = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'];

function derived(password, salt, iterations, size, hash) {
  const key = asBytes(password);
  const blocks = [];
  for (let block = 1; blocks.length * natives.digest(hash, key).length < size; block += 1) {
    let turn = natives.digest(hash, joined([asBytes(salt), [block >> 24, block >> 16, block >> 8, block]]), key);
    const sum = turn;
    for (let count = 1; count < iterations; count += 1) {
      turn = natives.digest(hash, turn, key);
      for (let at = 0; at < sum.length; at += 1) sum[at] ^= turn[at];
    }
    blocks.push(sum.slice());
  }
  return asBuffer(joined(blocks).slice(0, size));
}

function randomBytes(size, callback) {
  const bytes = sized(size);
  natives.randomFill(bytes);
  if (callback === undefined) return asBuffer(bytes);
  return Promise.resolve().then(() => callback(null, asBuffer(bytes)));
}

// HKDF (RFC 5869).
function extracted(hash, key, salt, info, size) {
  const secret = natives.digest(hash, key, salt);
  const blocks = [];
  for (let block = 1; blocks.length * secret.length < size; block += 1) {
    blocks.push(natives.digest(hash, joined([blocks[block - 2] || [], info, [block]]), secret));
  }
  return joined(blocks).slice(0, size).buffer;
}

const RANGE = 2 ** 48;

// Every number is as likely as any other: what is beyond the last whole multiple is drawn again.
function randomInt(...given) {
  const [least, most] = typeof given[1] === 'number' ? given : [0, given[0]];
  const callback = given.find((value) => typeof value === 'function');
  if (!Number.isSafeInteger(least)) throw wrongType('min', 'a safe integer', least);
  if (!Number.isSafeInteger(most)) throw wrongType('max', 'a safe integer', most);
  if (most <= least) throw outOfRange('max', `greater than the value of "min" (${least})`, most);
  const count = most - least;
  if (count >= RANGE) throw outOfRange('max - min', `<= ${RANGE - 1}`, count);
  let drawn;
  do drawn = randomBytes(6).readUIntBE(0, 6); while (drawn >= RANGE - (RANGE % count));
  const number = least + (drawn % count);
  if (callback === undefined) return number;
  return void Promise.resolve().then(() => callback(null, number));
}

Object.assign(crypto, {
  randomBytes,
  randomFillSync: (target) => {
    natives.randomFill(viewed(target));
    return target;
  },
  getRandomValues: (target) => crypto.randomFillSync(target),
  randomInt,
  randomUUID: () => {
    const bytes = randomBytes(16);
    bytes[6] = bytes[6] & 15 | 64;
    bytes[8] = bytes[8] & 63 | 128;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  },
  timingSafeEqual: (one, other) => {
    for (const [name, value] of [['buf1', one], ['buf2', other]]) {
      if (!(value instanceof ArrayBuffer) && !ArrayBuffer.isView(value)) throw wrongType(name, 'an instance of ArrayBuffer, Buffer, TypedArray, or DataView', value);
    }
    const [first, second] = [viewed(one), viewed(other)];
    if (first.length !== second.length) throw refused(RangeError, 'ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH', 'Input buffers must have the same byte length');
    return first.reduce((difference, byte, at) => difference | byte ^ second[at], 0) === 0;
  },
  hash: (name, data, encoding = 'hex') => crypto.createHash(name).update(data).digest(encoding),
  hkdfSync: (name, key, salt, info, size) => extracted(hashName(name), asBytes(key), asBytes(salt), asBytes(info), size),
  pbkdf2Sync: (password, salt, iterations, size, hash) => derived(password, salt, iterations, size, hashName(hash)),
  pbkdf2: (password, salt, iterations, size, hash, callback) => {
    const key = crypto.pbkdf2Sync(password, salt, iterations, size, hash);
    Promise.resolve().then(() => callback(null, key));
  },
  getHashes: () => [...hashNames],
});
