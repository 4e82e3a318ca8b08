// Buffer's numbers: integers of one to six bytes, of eight, and floating point, both ways round.

function refusePlace(at, most, name = 'offset') {
  checkNumber(at, name);
  if (Math.floor(at) !== at) throw outOfRange(name, 'an integer', at);
  if (most < 0) throw outOfBounds();
  throw outOfRange(name, `>= ${name === 'offset' ? 0 : 1} and <= ${most}`, at);
}

function checkPlace(buffer, at, size) {
  checkNumber(at, 'offset');
  if (buffer[at] === undefined || buffer[at + size - 1] === undefined) refusePlace(at, buffer.length - size);
}

function checkValue(value, least, most, size) {
  if (!(value > most || value < least)) return;
  const n = typeof least === 'bigint' ? 'n' : '';
  if (size <= 3) throw outOfRange('value', `>= ${least} and <= ${most}`, value);
  if (Number(least) === 0) throw outOfRange('value', `>= 0${n} and < 2${n} ** ${8 * size}${n}`, value);
  throw outOfRange('value', `>= -(2${n} ** ${8 * size - 1}${n}) and < 2${n} ** ${8 * size - 1}${n}`, value);
}

function checkCount(count) {
  if (count === undefined) throw wrongType('byteLength', 'of type number', count);
  if (![1, 2, 3, 4, 5, 6].includes(count)) refusePlace(count, 6, 'byteLength');
}

function assembled(buffer, at, size, little) {
  checkPlace(buffer, at, size);
  let value = 0;
  for (let step = 0; step < size; step += 1) value = value * 256 + buffer[little ? at + size - 1 - step : at + step];
  return value;
}

function spread(buffer, value, at, size, little) {
  checkPlace(buffer, at, size);
  let rest = Math.trunc(value) || 0;
  if (rest < 0) rest += 2 ** (8 * size);
  for (let step = 0; step < size; step += 1) {
    buffer[little ? at + step : at + size - 1 - step] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return at + size;
}

const signedOf = (value, size) => (value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value);
const boundsOf = (size, signed) => (signed ? [-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1] : [0, 2 ** (8 * size) - 1]);

function readInteger(buffer, at, size, little, signed) {
  const value = assembled(buffer, at, size, little);
  return signed ? signedOf(value, size) : value;
}

function writeInteger(buffer, given, at, size, little, signed) {
  const value = Number(given);
  checkValue(value, ...boundsOf(size, signed), size);
  return spread(buffer, value, at, size, little);
}

// One method under both of its names: readUInt8 is readUint8, too.
function addMethods(name, read, write) {
  for (const alias of new Set([name, name.replace('UInt', 'Uint')])) {
    hidden(Buffer.prototype, `read${alias}`, read);
    hidden(Buffer.prototype, `write${alias}`, write);
  }
}

const BOTH_WAYS = [['LE', true], ['BE', false]];

for (const [prefix, signed] of [['Int', true], ['UInt', false]]) {
  for (const [ending, little] of BOTH_WAYS) {
    addMethods(
      prefix + ending,
      function read(at, count) {
        checkCount(count);
        return readInteger(this, at, count, little, signed);
      },
      function write(value, at, count) {
        checkCount(count);
        return writeInteger(this, value, at, count, little, signed);
      },
    );
  }
  for (const size of [1, 2, 4]) {
    for (const [ending, little] of size === 1 ? [['', true]] : BOTH_WAYS) {
      addMethods(
        prefix + 8 * size + ending,
        function read(at = 0) { return readInteger(this, at, size, little, signed); },
        function write(value, at = 0) { return writeInteger(this, value, at, size, little, signed); },
      );
    }
  }
}

const viewOf = (buffer) => new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
const WIDE = [
  ['Float', 'Float32', 4, Number], ['Double', 'Float64', 8, Number],
  ['BigInt64', 'BigInt64', 8, BigInt, -(2n ** 63n), 2n ** 63n - 1n], ['BigUInt64', 'BigUint64', 8, BigInt, 0n, 2n ** 64n - 1n],
];

for (const [name, kind, size, made, least, most] of WIDE) {
  const [getter, setter] = [DataView.prototype[`get${kind}`], DataView.prototype[`set${kind}`]];
  for (const [ending, little] of BOTH_WAYS) {
    addMethods(
      name + ending,
      function read(at = 0) {
        checkPlace(this, at, size);
        return getter.call(viewOf(this), at, little);
      },
      function write(value, at = 0) {
        if (least !== undefined) checkValue(value, least, most, size);
        checkPlace(this, at, size);
        if (made === BigInt && typeof value !== 'bigint') throw new TypeError('Cannot mix BigInt and other types, use explicit conversions');
        setter.call(viewOf(this), at, made(value), little);
        return at + size;
      },
    );
  }
}
