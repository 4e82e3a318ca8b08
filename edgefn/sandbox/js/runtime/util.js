// How Node.js formats what is logged, and the module util.

function format(template, ...values) {
  let rest = values;
  if (typeof template !== 'string') return (template === undefined && values.length === 0 ? [] : [template, ...values]).map(plain).join(' ');
  const text = template.replace(/%([sdifjoOc%])/g, (whole, kind) => {
    if (kind === '%') return '%';
    if (rest.length === 0) return whole;
    const [value, ...others] = rest;
    rest = others;
    switch (kind) {
      case 's': return typeof value === 'string' || typeof value === 'function' || typeof value === 'symbol' ? String(value) : shown(value);
      case 'd': return typeof value === 'bigint' ? `${value}n` : String(Number(value));
      case 'i': return String(parseInt(value, 10));
      case 'f': return String(parseFloat(value));
      case 'j': return stringify(value);
      case 'c': return '';
      default: return shown(value);
    }
  });
  return [text, ...rest.map(plain)].join(' ');
}

const onlyOf = (value) => (value instanceof Date || value instanceof String || value instanceof Number || value instanceof Boolean
  ? value.valueOf() : value instanceof RegExp || value instanceof Error ? String(value) : null);
const partsOf = (value) => (value instanceof Map || value instanceof Set ? [...value] : []);

// Whether two values are the same to the last property, as assert.deepStrictEqual sees it.
function isSame(one, other, above) {
  if (Object.is(one, other)) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (above.some(([first, second]) => first === one && second === other)) return true;
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other) || !Object.is(onlyOf(one), onlyOf(other))) return false;
  const inside = [...above, [one, other]];
  const [own, theirs] = [keysOf(one), keysOf(other)];
  if (own.length !== theirs.length || one.length !== other.length) return false;
  return isSameContent(one, other, inside) && own.every((key) => Object.hasOwn(other, key) && isSame(one[key], other[key], inside));
}

function isSameContent(one, other, inside) {
  const rest = partsOf(other);
  if (one.size !== other.size) return false;
  return partsOf(one).every((part) => {
    const at = rest.findIndex((candidate) => isSame(part, candidate, inside));
    if (at >= 0) rest.splice(at, 1);
    return at >= 0;
  });
}

const util = {
  format,
  inspect: (value) => shown(value),
  promisify: (call) => (...given) => new Promise((resolve, reject) => {
    call(...given, (error, value) => (error ? reject(error) : resolve(value)));
  }),
  inherits: (constructor, parent) => {
    Object.setPrototypeOf(constructor.prototype, parent.prototype);
    Object.setPrototypeOf(constructor, parent);
  },
  isDeepStrictEqual: (one, other) => isSame(one, other, []),
  isArray: Array.isArray,
  callbackify: (call) => (...given) => {
    const callback = given.pop();
    call(...given).then((value) => callback(null, value), (error) => callback(error));
  },
  deprecate: (call) => call,
  types: {
    isDate: (value) => value instanceof Date,
    isRegExp: (value) => value instanceof RegExp,
    isPromise: (value) => value instanceof Promise,
    isMap: (value) => value instanceof Map,
    isSet: (value) => value instanceof Set,
    isNativeError: (value) => value instanceof Error,
    isUint8Array: isBytes,
    isTypedArray: (value) => ArrayBuffer.isView(value) && !(value instanceof DataView),
    isArrayBuffer: (value) => value instanceof ArrayBuffer,
  },
  TextEncoder,
  TextDecoder,
};
