// The errors with which Node.js refuses an argument: with its codes, and in its words.

function refused(Kind, code, message) {
  const error = new Kind(message);
  error.code = code;
  return error;
}

function received(value) {
  if (value === null || value === undefined) return `Received ${value}`;
  if (typeof value === 'function') return `Received function ${value.name}`;
  if (typeof value === 'object') {
    const name = value.constructor && value.constructor.name;
    return name ? `Received an instance of ${name}` : `Received ${shown(value)}`;
  }
  const text = shown(value);
  return `Received type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

const wrongType = (name, expected, value) => refused(
  TypeError, 'ERR_INVALID_ARG_TYPE', `The ${name.includes(' ') ? name : `"${name}" argument`} must be ${expected}. ${received(value)}`,
);

function outOfRange(name, range, value) {
  let told = typeof value === 'bigint' ? `${value}n` : String(value);
  if ((typeof value === 'bigint' || Number.isInteger(value)) && (value > 2 ** 32 || value < -(2 ** 32))) {
    told = told.replace(/\d(?=(?:\d{3})+n?$)/g, '$&_');
  }
  return refused(RangeError, 'ERR_OUT_OF_RANGE', `The value of "${name}" is out of range. It must be ${range}. Received ${told}`);
}

const outOfBounds = (name) => refused(
  RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', name ? `"${name}" is outside of buffer bounds` : 'Attempt to access memory outside buffer bounds',
);

const unknownEncoding = (name) => refused(TypeError, 'ERR_UNKNOWN_ENCODING', `Unknown encoding: ${name}`);

function checkNumber(value, name) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
}

function checkInteger(value, name, least, most) {
  checkNumber(value, name);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < least || value > most) throw outOfRange(name, `>= ${least} && <= ${most}`, value);
}

function checkString(value, name) {
  if (typeof value !== 'string') throw wrongType(name, 'of type string', value);
}

const isBytes = (value) => value instanceof Uint8Array;

function checkBytes(value, name) {
  if (!isBytes(value)) throw wrongType(name, 'an instance of Buffer or Uint8Array', value);
}
