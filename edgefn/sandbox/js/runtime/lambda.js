// Plain Lambda@Edge handlers: files of a bundle, CommonJS or ES modules, and the modules that need no Node.js.

let bundle; // what `load` was told
let handler;
let current; // the invocation

const RUNTIME = 'nodejs22.x';

// ------------------------------------------------------------------------------------------------------------- console

const LEVELS = { log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', debug: 'DEBUG', trace: 'TRACE' };

function format(template, ...values) {
  let rest = values;
  if (typeof template !== 'string') return [template, ...values].map(plain).join(' ');
  const text = template.replace(/%([sdifjoOc%])/g, (whole, kind) => {
    if (kind === '%') return '%';
    if (rest.length === 0) return whole;
    const [value, ...others] = rest;
    rest = others;
    switch (kind) {
      case 's': return typeof value === 'object' && value !== null ? shown(value) : String(value);
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

function line(level, message) {
  natives.log(`${new Date().toISOString()}\t${current ? current.id : 'undefined'}\t${level}\t${message.replace(/\n/g, '\r')}`);
}

const console = {};
for (const [method, level] of entries(LEVELS)) console[method] = (...values) => line(level, format(...values));
hidden(globalThis, 'console', console);

// ------------------------------------------------------------------------------------------------- modules and globals

class MissingModule extends Error {
  get name() { return 'Runtime.ImportModuleError'; }
}

const needsNode = (what) => new Error(`${what} is not available in runtime js: use a nodejs runtime, such as ${RUNTIME}`);

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

Object.assign(crypto, {
  randomBytes,
  randomFillSync: (target) => {
    natives.randomFill(viewed(target));
    return target;
  },
  getRandomValues: (target) => crypto.randomFillSync(target),
  randomInt: (least, most) => (most === undefined ? Math.floor(natives.random() * least) : least + Math.floor(natives.random() * (most - least))),
  randomUUID: () => {
    const bytes = randomBytes(16);
    bytes[6] = bytes[6] & 15 | 64;
    bytes[8] = bytes[8] & 63 | 128;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  },
  timingSafeEqual: (one, other) => {
    const [first, second] = [viewed(one), viewed(other)];
    if (first.length !== second.length) throw new RangeError('Input buffers must have the same byte length');
    return first.reduce((difference, byte, at) => difference | byte ^ second[at], 0) === 0;
  },
  pbkdf2Sync: (password, salt, iterations, size, hash) => derived(password, salt, iterations, size, hashName(hash)),
  pbkdf2: (password, salt, iterations, size, hash, callback) => {
    const key = crypto.pbkdf2Sync(password, salt, iterations, size, hash);
    Promise.resolve().then(() => callback(null, key));
  },
  getHashes: () => [...hashNames],
});

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
  isDeepStrictEqual: (one, other) => shown(one) === shown(other),
  TextEncoder,
  TextDecoder,
};

const modules = {
  buffer: { Buffer, atob, btoa },
  crypto,
  path,
  'path/posix': path,
  querystring,
  url,
  util,
};

const NODE_MODULES = new Set([
  'assert', 'async_hooks', 'child_process', 'cluster', 'console', 'constants', 'dgram', 'dns', 'domain', 'events', 'fs',
  'fs/promises', 'http', 'http2', 'https', 'inspector', 'module', 'net', 'os', 'perf_hooks', 'process', 'punycode', 'readline',
  'repl', 'stream', 'stream/promises', 'string_decoder', 'timers', 'timers/promises', 'tls', 'tty', 'util/types', 'v8', 'vm',
  'wasi', 'worker_threads', 'zlib',
]);

function absent(name) {
  const what = NODE_MODULES.has(name.replace(/^node:/, '')) ? 'is a part of Node.js' : 'is not in the bundle';
  const error = new MissingModule(`Error: Cannot find module '${name}': it ${what}. Runtime js has `
    + `${keys(modules).join(', ')}; for more, use a nodejs runtime, such as ${RUNTIME}`);
  error.code = 'MODULE_NOT_FOUND';
  return error;
}

for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'fetch', 'XMLHttpRequest', 'WebSocket']) {
  hidden(globalThis, name, () => { throw needsNode(name); });
}
for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) hidden(globalThis, name, () => {});
for (const [name, value] of entries({ Buffer, TextDecoder, TextEncoder, URL, URLSearchParams, atob, btoa, crypto })) hidden(globalThis, name, value);
hidden(globalThis, 'global', globalThis);

const process = {
  env: {},
  argv: ['node'],
  pid: 2,
  platform: 'linux',
  arch: 'wasm32',
  release: { name: 'edgefn' },
  version: 'v22.0.0',
  versions: {},
  cwd: () => '/var/task',
  nextTick: (call, ...given) => { Promise.resolve().then(() => call(...given)); },
  uptime: () => 0,
  hrtime: Object.assign(() => [0, 0], { bigint: () => 0n }),
  on: () => process,
  once: () => process,
  emitWarning: () => {},
};
hidden(globalThis, 'process', process);

// --------------------------------------------------------------------------------------------------- files of the bundle

const loaded = new Map(); // CommonJS modules by file
const files = () => bundle.files;
const isFile = (name) => Object.hasOwn(files(), name);
const isModule = (name) => name.endsWith('.mjs') || (name.endsWith('.js') && (bundle.modules.includes(name) || packageType(name) === 'module'));

function packageType(name) {
  for (let folder = path.dirname(name); ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (isFile(manifest)) return parse(files()[manifest]).type;
    if (folder === '.') return undefined;
  }
}

function fileAt(name) {
  const plainName = path.normalize(name);
  for (const ending of ['', '.js', '.cjs', '.mjs', '.json']) if (isFile(plainName + ending)) return plainName + ending;
  return undefined;
}

function folderAt(name) {
  const manifest = path.join(name, 'package.json');
  const main = isFile(manifest) ? parse(files()[manifest]).main : undefined;
  return (main && (fileAt(path.join(name, main)) || fileAt(path.join(name, main, 'index')))) || fileAt(path.join(name, 'index'));
}

// The file that a name means in another file, or the name of a module of ours.
function resolve(base, name) {
  const known = name.replace(/^node:/, '');
  if (Object.hasOwn(modules, known)) return `node:${known}`;
  if (NODE_MODULES.has(known)) throw absent(name);
  const folder = path.dirname(base);
  if (name.startsWith('/var/task/')) return fileAt(name.slice(10)) || folderAt(name.slice(10)) || missingFile(name);
  if (/^\.{0,2}\//.test(name) || name === '.' || name === '..') {
    const place = path.join(folder, name);
    return fileAt(place) || folderAt(place) || missingFile(name);
  }
  for (let at = folder; ; at = path.dirname(at)) {
    const place = path.join(at, 'node_modules', name);
    const found = fileAt(place) || folderAt(place);
    if (found) return found;
    if (at === '.') throw absent(name);
  }
}

function missingFile(name) { throw absent(name); }

function requirer(base) {
  const require = (name) => {
    const found = resolve(base, String(name));
    return found.startsWith('node:') ? modules[found.slice(5)] : required(found);
  };
  require.resolve = (name) => resolve(base, String(name));
  return require;
}

function required(name) {
  if (loaded.has(name)) return loaded.get(name).exports;
  if (isModule(name)) throw new SyntaxError(`Cannot require the ES module ${name}: import it`);
  const module = { exports: {}, filename: `/var/task/${name}`, id: name, loaded: false };
  loaded.set(name, module);
  if (name.endsWith('.json')) {
    module.exports = parse(files()[name]);
  } else {
    const wrapped = natives.evaluate(`(function (exports, require, module, __filename, __dirname) {${files()[name]}\n})`, name, 'sloppy', 1);
    wrapped.call(module.exports, module.exports, requirer(name), module, module.filename, path.dirname(module.filename));
  }
  module.loaded = true;
  return module.exports;
}

// What an import gets: source text, or the exports of what is no ES module.
function imported(name) {
  if (!name.startsWith('node:') && isModule(name)) return files()[name];
  const exports = name.startsWith('node:') ? modules[name.slice(5)] : required(name);
  const named = exports !== null && (typeof exports === 'object' || typeof exports === 'function') ? { ...exports } : {};
  return { ...named, default: exports };
}

// ---------------------------------------------------------------------------------------------------------------- load

class InitError extends Error {
  constructor(type, message) {
    super(message);
    defineProperty(this, 'name', { value: type });
  }
}

function splitHandler(name) {
  const base = path.basename(name);
  const dot = base.indexOf('.');
  if (dot < 1 || dot === base.length - 1) throw new InitError('Runtime.MalformedHandlerName', `Bad handler '${name}'`);
  return [path.join(path.dirname(name), base.slice(0, dot)), base.slice(dot + 1).split('.')];
}

function load(told) {
  begin();
  bundle = told;
  Object.assign(process.env, told.environment);
  const [file, names] = splitHandler(told.handler);
  const entry = fileAt(file) || folderAt(file);
  if (entry === undefined) throw new InitError('Runtime.ImportModuleError', `Error: Cannot find module '${file}'`);
  if (isModule(entry)) {
    const [namespace, promise] = natives.evaluate(files()[entry], entry, 'module', 1);
    promise.then(() => choose(namespace, names), fail);
  } else {
    choose(required(entry), names);
  }
}

function choose(exports, names) {
  let found = exports;
  for (const name of names) found = found === null || found === undefined ? undefined : found[name];
  handler = found;
  if (typeof found === 'function') succeed(null);
  else fail(new InitError('Runtime.HandlerNotFound', `${bundle.handler} is ${found === undefined || found === null ? 'undefined or not exported' : 'not a function'}`));
}

// -------------------------------------------------------------------------------------------------------------- invoke

class Invocation {
  constructor({ id, remaining }) {
    this.id = id;
    this.remaining = remaining;
    this.body = null; // the base64 text that we put into the event
    this.called = false; // the callback came, and waits for an empty event loop
    this.result = undefined;
    this.waits = true; // callbackWaitsForEmptyEventLoop
  }

  complete(error, value) {
    if (this.called || ended()) return;
    if (error !== undefined && error !== null) {
      fail(error);
    } else if (this.waits) {
      this.called = true;
      this.result = value;
    } else {
      succeed(value);
    }
  }

  completeNow(error, value) {
    if (this.called) return;
    this.waits = false;
    this.complete(error, value);
  }
}

function contextOf(invocation) {
  const context = {
    functionName: bundle.function,
    functionVersion: bundle.version,
    invokedFunctionArn: bundle.arn,
    memoryLimitInMB: String(bundle.memory),
    awsRequestId: invocation.id,
    logGroupName: `/aws/lambda/${bundle.function}`,
    logStreamName: `[${bundle.version}]`,
    clientContext: undefined,
    identity: undefined,
    getRemainingTimeInMillis: () => invocation.remaining,
  };
  defineProperty(context, 'callbackWaitsForEmptyEventLoop', {
    get: () => invocation.waits,
    set: (waits) => { invocation.waits = Boolean(waits); },
    enumerable: true,
  });
  context.done = (error, value) => invocation.completeNow(error, value);
  context.succeed = (value) => invocation.completeNow(null, value);
  context.fail = (error) => invocation.completeNow(error === undefined || error === null ? 'handled' : error);
  return context;
}

// A result that only echoes the request's body goes back without it: nobody reads it then.
function isUntouched(value) {
  const body = value && typeof value === 'object' && typeof value.toJSON !== 'function' ? value.body : undefined;
  return body !== null && typeof body === 'object' && body.action !== 'replace' && body.data === current.body;
}

serialise = (value) => {
  let result = value;
  if (current && current.body !== null && isUntouched(value)) {
    const { data, ...rest } = value.body;
    result = { ...value, body: rest };
  }
  try {
    return json(result);
  } catch (error) {
    throw new InitError('Runtime.MarshalError', `Unable to stringify response body: ${error && error.message}`);
  }
};

pending = () => succeed(current && current.called ? current.result : null);

function handle({ id, remaining, attached, event }) {
  begin();
  current = new Invocation({ id, remaining });
  if (attached) {
    current.body = natives.attachment();
    event.Records[0].cf.request.body.data = current.body;
  }
  const value = handler(event, contextOf(current), (error, result) => current.complete(error, result));
  if (value !== null && value !== undefined && typeof value.then === 'function') value.then(succeed, fail);
}

natives.use({
  load, handle, resume, outcome, describe, resolve, module: imported, url: (name) => `file:///var/task/${name}`,
});
