// Plain Lambda@Edge handlers: files of a bundle, CommonJS or ES modules, and the modules that need no Node.js.

let bundle; // what `load` was told
let handler;
let current; // the invocation

const RUNTIME = 'nodejs22.x';

// ------------------------------------------------------------------------------------------------------------- console

const LEVELS = { log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', debug: 'DEBUG', trace: 'TRACE' };

function line(level, message) {
  natives.log(`${new Date().toISOString()}\t${current ? current.id : 'undefined'}\t${level}\t${message.replace(/\n/g, '\r')}`);
}

let margin = '';
const counts = {};
const indented = (text) => (margin ? margin + text.replace(/\n/g, `\n${margin}`) : text);

const console = {};
for (const [method, level] of entries(LEVELS)) console[method] = (...values) => line(level, indented(format(...values)));
console.dir = (value) => console.log(shown(value));
console.table = console.log;
console.assert = (holds, ...values) => { if (!holds) console.warn('Assertion failed', ...values); };
console.group = (...values) => {
  if (values.length > 0) console.log(...values);
  margin += '  ';
};
console.groupEnd = () => { margin = margin.slice(2); };
console.count = (label = 'default') => {
  counts[label] = (counts[label] || 0) + 1;
  console.log(`${label}: ${counts[label]}`);
};
console.countReset = (label = 'default') => { delete counts[label]; };
console.time = () => {};
console.timeLog = (label = 'default', ...values) => console.log(`${label}: 0ms`, ...values); // time stands still
console.timeEnd = (label = 'default') => console.timeLog(label);
hidden(globalThis, 'console', console);

// ------------------------------------------------------------------------------------------------- modules and globals

class MissingModule extends Error {
  get name() { return 'Runtime.ImportModuleError'; }
}

const needsNode = (what) => new Error(`${what} is not available in runtime js: use a nodejs runtime, such as ${RUNTIME}`);

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

// As in Node.js, what is put into the environment becomes text.
const environment = new Proxy({}, { set: (target, name, value) => Reflect.set(target, name, `${value}`) });

const process = {
  env: environment,
  argv: ['node'],
  pid: 2,
  platform: 'linux',
  arch: 'wasm32',
  release: { name: 'edgefn' },
  version: 'v22.0.0',
  versions: { node: '22.0.0' },
  memoryUsage: () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 }),
  exit: () => { throw needsNode('process.exit'); },
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

// AWS: reserved environment variables.
function reserved(told) {
  return {
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_EXECUTION_ENV: `AWS_Lambda_${RUNTIME}`,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: told.memory,
    AWS_LAMBDA_FUNCTION_NAME: told.function,
    AWS_LAMBDA_FUNCTION_VERSION: told.version,
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_REGION: 'us-east-1',
    LAMBDA_TASK_ROOT: '/var/task',
    LANG: 'en_US.UTF-8',
    TZ: ':UTC',
    _HANDLER: told.handler,
  };
}

function load(told) {
  begin();
  bundle = told;
  Object.assign(process.env, reserved(told), told.environment);
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
