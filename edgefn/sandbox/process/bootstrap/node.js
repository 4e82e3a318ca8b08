'use strict';
// The home of one Node.js function: reads events from the control socket, runs the handler, writes what came of it.
//
// Between two calls it blocks in readSync. That freezes the function's timers for free, is faster than a net.Socket,
// and leaves the event loop without any handle of ours, so that "the event loop is empty" means the function's own.
// The function shares this process and may break all of this; it then breaks itself only.

const fs = require('fs');
const path = require('path');
const util = require('util');
const Module = require('module');
const { spawnSync } = require('child_process');
const { Writable } = require('stream');
const { fileURLToPath, pathToFileURL } = require('url');

const CONTROL = Number(process.env.EDGEFN_FD);
const TASK = process.env.EDGEFN_TASK || '/var/task';
const TMP = process.env.EDGEFN_TMP; // instead of /tmp, where there is no mount to make one
const RESULT_LIMIT = 6291556;
const STREAMING = Symbol('streaming handler');

// Taken now, so that a function which replaces them (fake timers, polyfills) doesn't pull the ground from under us.
const { readSync, writeSync } = fs;
const { parse, stringify } = JSON;
const monotonic = performance.now.bind(performance);
const later = setImmediate;
const exit = process.reallyExit.bind(process);
const { resourceUsage } = process;

// ---------------------------------------------------------------------------------------------------- control socket

let inbox = Buffer.allocUnsafeSlow(1 << 16);
const outbox = Buffer.allocUnsafeSlow(1 << 16);
const pause = new Int32Array(new SharedArrayBuffer(4));

// Waits for one frame and returns its two lengths; the frame then lies in `inbox`. Ends the process when nobody is left.
function receive() {
  let have = 0;
  let need = 8;
  while (have < need) {
    if (need > inbox.length) {
      const larger = Buffer.allocUnsafeSlow(need);
      inbox.copy(larger, 0, 0, have);
      inbox = larger;
    }
    const count = readSync(CONTROL, inbox, have, inbox.length - have, null);
    if (count === 0) exit(0);
    have += count;
    if (have >= 8) need = 8 + inbox.readUInt32LE(0) + inbox.readUInt32LE(4);
  }
  return [inbox.readUInt32LE(0), inbox.readUInt32LE(4)];
}

function writeAll(fd, bytes, length) {
  let done = 0;
  while (done < length) {
    try {
      done += writeSync(fd, bytes, done, length - done);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

function send(header, result) {
  const headerSize = Buffer.byteLength(header);
  const size = 8 + headerSize + result.length;
  const out = size <= outbox.length ? outbox : Buffer.allocUnsafe(size);
  out.writeUInt32LE(headerSize, 0);
  out.writeUInt32LE(result.length, 4);
  out.write(header, 8);
  result.copy(out, 8 + headerSize);
  writeAll(CONTROL, out, size);
}

const NOTHING = Buffer.alloc(0);

let waitsBefore = 0;

// What the process took so far, and whether it has waited for anything since the call began.
function usage() {
  const { userCPUTime, systemCPUTime, maxRSS, voluntaryContextSwitches } = resourceUsage();
  const waited = voluntaryContextSwitches > waitsBefore;
  return `"cpu":${(userCPUTime + systemCPUTime) / 1e6},"memory":${maxRSS * 1024},"waited":${waited}`;
}

function sendResult(id, json) {
  const size = Buffer.byteLength(json);
  if (size > RESULT_LIMIT) {
    const message = `Response payload size exceeded maximum allowed payload size (${RESULT_LIMIT} bytes).`;
    sendError(id, { type: 'Function.ResponseSizeTooLarge', message, trace: [] }, false);
    return;
  }
  send(`{"id":${stringify(id)},"ok":true,${usage()}}`, Buffer.from(json));
}

function sendError(id, error, fatal) {
  send(`{"id":${stringify(id)},"error":${stringify(error)},"fatal":${fatal},${usage()}}`, NOTHING);
}

// ------------------------------------------------------------------------------------------------------------ errors

// Returns text of a bounded length that survives UTF-8 (a lone surrogate becomes U+FFFD).
const bounded = (text, limit) => Buffer.from(text.slice(0, limit)).toString();

function text(value) {
  try {
    return bounded(String(value), 32768);
  } catch {
    return 'an error that has no text';
  }
}

// Whatever was thrown, as the three fields of AWS's error document.
function describe(thrown) {
  try {
    if (util.types.isNativeError(thrown) || thrown instanceof Error) {
      const lines = String(thrown.stack || '').split('\n').slice(0, 100);
      return { type: text(thrown.name), message: text(thrown.message), trace: lines.map((line) => bounded(line, 1000)) };
    }
    return { type: typeof thrown, message: text(thrown), trace: [] };
  } catch {
    return { type: 'Error', message: 'an error that can not be read', trace: [] };
  }
}

class InitError extends Error {
  constructor(type, message, cause) {
    super(message);
    this.name = type;
    if (cause && cause.stack) this.stack = String(cause.stack);
  }
}

function logError(title, id, { type, message, trace }) {
  line(id, 'ERROR', `${title} \t${stringify({ errorType: type, errorMessage: message, stack: trace })}`);
}

// ----------------------------------------------------------------------------------------------------------- console

let logId;

// One call of console.* is one line: AWS, too, keeps a message's own line ends as carriage returns.
function line(id, level, message) {
  const bytes = Buffer.from(`${new Date().toISOString()}\t${id}\t${level}\t${message.replace(/\n/g, '\r')}\n`);
  try {
    writeAll(1, bytes, bytes.length);
  } catch {
    // A closed stdout loses the line, nothing else.
  }
}

const LEVELS = { log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', debug: 'DEBUG', trace: 'TRACE', fatal: 'FATAL' };
for (const [method, level] of Object.entries(LEVELS)) {
  console[method] = (...values) => line(logId, level, util.format(...values));
}

// ---------------------------------------------------------------------------------------------------------- the call

let init; // the init message, once there was one
let initialising = false;
let modern = false; // nodejs24.x and later: no callbacks, results of plain functions count
let handler;
let current = null; // the call that runs

class Call {
  constructor({ id, remaining }) {
    this.id = id;
    this.deadline = monotonic() + remaining;
    this.body = null; // the base64 text that we put into the event
    this.called = false; // the callback came, and waits for an empty event loop
    this.result = undefined;
    this.waits = true; // callbackWaitsForEmptyEventLoop
  }
}

function serialised(call, value) {
  if (call.body !== null && isUntouched(call, value)) {
    const { data, ...rest } = value.body;
    value = { ...value, body: rest };
  }
  const json = stringify(value);
  return json === undefined ? 'null' : json;
}

// Whether a result only echoes the request's body: nobody reads it then, and 1 MB of it would cost 7 ms.
function isUntouched(call, value) {
  const body = value && typeof value === 'object' && typeof value.toJSON !== 'function' ? value.body : undefined;
  return body !== null && typeof body === 'object' && body.action !== 'replace' && body.data === call.body;
}

function succeed(call, value) {
  if (call !== current) return; // the first completion wins
  let json;
  try {
    json = serialised(call, value);
  } catch (error) {
    const message = `Unable to stringify response body: ${text(error && error.message)}`;
    fail(call, new InitError('Runtime.MarshalError', message, error));
    return;
  }
  current = null;
  sendResult(call.id, json);
  later(next);
}

function fail(call, thrown) {
  if (call !== current) return;
  const error = describe(thrown);
  current = null;
  logError('Invoke Error', call.id, error);
  sendError(call.id, error, false);
  later(next);
}

function complete(call, error, value) {
  if (call !== current || call.called) return;
  if (error !== undefined && error !== null) {
    fail(call, error);
  } else if (call.waits) {
    call.called = true;
    call.result = value;
  } else {
    succeed(call, value);
  }
}

function completeNow(call, error, value) {
  if (call.called) return;
  call.waits = false;
  complete(call, error, value);
}

function contextOf(call) {
  const { environment } = init;
  const context = {
    functionName: init.function,
    functionVersion: init.version,
    invokedFunctionArn: init.arn,
    memoryLimitInMB: String(init.memory),
    awsRequestId: call.id,
    logGroupName: environment.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: environment.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: undefined,
    identity: undefined,
    getRemainingTimeInMillis: () => Math.max(0, Math.round(call.deadline - monotonic())),
  };
  if (modern) return context;
  Object.defineProperty(context, 'callbackWaitsForEmptyEventLoop', {
    get: () => call.waits,
    set: (waits) => { call.waits = Boolean(waits); },
    enumerable: true,
  });
  context.done = (error, value) => completeNow(call, error, value);
  context.succeed = (value) => completeNow(call, null, value);
  context.fail = (error) => completeNow(call, error === undefined || error === null ? 'handled' : error);
  return context;
}

function run(call, event) {
  const context = contextOf(call);
  if (handler[STREAMING]) return collected(call, event, context);
  return modern ? handler(event, context) : handler(event, context, (error, value) => complete(call, error, value));
}

// A streaming handler where nobody streams: what it wrote is its result, as in a buffered invocation of AWS.
async function collected(call, event, context) {
  const chunks = [];
  const stream = new Writable({ write(chunk, encoding, done) { chunks.push(Buffer.from(chunk, encoding)); done(); } });
  stream.setContentType = () => {};
  const ended = new Promise((resolve, reject) => stream.on('finish', resolve).on('error', reject));
  await handler(event, stream, context);
  await ended;
  const written = Buffer.concat(chunks).toString();
  try {
    return parse(written);
  } catch {
    return written;
  }
}

function invoke(message, bodyStart, bodySize) {
  const call = new Call(message.invoke);
  const { event } = message;
  current = call;
  logId = call.id;
  if (bodySize > 0) {
    call.body = inbox.base64Slice(bodyStart, bodyStart + bodySize);
    event.Records[0].cf.request.body.data = call.body;
  }
  waitsBefore = resourceUsage().voluntaryContextSwitches;
  try {
    const outcome = run(call, event);
    if (outcome !== null && outcome !== undefined && typeof outcome.then === 'function') {
      outcome.then((value) => succeed(call, value), (error) => fail(call, error));
    } else if (modern) {
      succeed(call, outcome);
    }
  } catch (error) {
    fail(call, error);
  }
}

// -------------------------------------------------------------------------------------------------------------- init

function malformed(message) {
  return new InitError('Runtime.MalformedHandlerName', message);
}

function splitHandler(name) {
  if (name.includes('..')) {
    throw malformed(`'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(name);
  const dot = base.indexOf('.');
  if (dot < 1 || dot === base.length - 1) throw malformed(`Bad handler '${name}'`);
  const file = path.join(name.slice(0, name.length - base.length), base.slice(0, dot));
  return { file, exports: base.slice(dot + 1).split('.') };
}

const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true;

function locate(file) {
  for (const suffix of ['', '.js', '.mjs', '.cjs']) {
    const candidate = path.join(TASK, file + suffix);
    if (isFile(candidate)) return candidate;
  }
  const require = Module.createRequire(path.join(TASK, 'index.js'));
  try {
    return require.resolve(path.join(TASK, file));
  } catch {
    return require.resolve(file);
  }
}

function contentOf(manifest) {
  try {
    return parse(fs.readFileSync(manifest, 'utf8'));
  } catch (error) {
    throw new SyntaxError(`${manifest}: ${error.message}`);
  }
}

function isModule(file) {
  const suffix = path.extname(file);
  if (suffix === '.mjs') return true;
  if (suffix !== '.js') return false;
  for (let folder = path.dirname(file); folder.startsWith(TASK); folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (isFile(manifest)) return contentOf(manifest).type === 'module';
  }
  return false;
}

async function imported(file) {
  if (isModule(file)) return import(pathToFileURL(file).href);
  try {
    return require(file);
  } catch (error) {
    if (error?.code !== 'ERR_REQUIRE_ASYNC_MODULE' && error?.code !== 'ERR_REQUIRE_ESM') throw error;
    return import(pathToFileURL(file).href);
  }
}

// Node.js keeps where an ES module does not parse to itself, and tells it only when it dies of that: so let another die.
function placed({ stack }, file) {
  if (stack.includes(TASK)) return stack;
  const source = `import ${stringify(pathToFileURL(file).href)}`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', source], { timeout: 2000 });
  const place = /^file:[^]*?(?=^SyntaxError)/m.exec(String(stderr));
  return place ? fileURLs(place[0]) + stack : stack;
}

const fileURLs = (told) => told.replace(/^file:\S+?(?=:\d+$)/m, (url) => fileURLToPath(url));

async function load(name) {
  const { file, exports } = splitHandler(name);
  let found;
  let located;
  try {
    located = locate(file);
    found = await imported(located);
  } catch (error) {
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
      throw new InitError('Runtime.ImportModuleError', String(error), error);
    }
    if (error instanceof SyntaxError) {
      const stack = placed(error, located);
      throw new InitError('Runtime.UserCodeSyntaxError', String(error), { stack });
    }
    throw error;
  }
  for (const part of exports) found = found?.[part];
  if (found === undefined || found === null) {
    throw new InitError('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  }
  if (typeof found !== 'function') throw new InitError('Runtime.HandlerNotFound', `${name} is not a function`);
  if (modern && found.length >= 3 && !found[STREAMING]) {
    throw new InitError('Runtime.CallbackHandlerDeprecated', `${name} takes a callback, which ${init.runtime} no longer calls: return a promise`);
  }
  return found;
}

function settle(environment) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment, { LAMBDA_TASK_ROOT: TASK }, TMP && { TMPDIR: TMP });
  if (TASK !== '/var/task' && environment.NODE_PATH) { // without a mount there is no /opt of our own
    process.env.NODE_PATH = environment.NODE_PATH.replace(/(^|:)\/opt\//g, `$1${TASK}/.opt/`);
  }
  Module._initPaths(); // NODE_PATH is read at start, when there was no function yet
  process.chdir(TASK);
  globalThis.awslambda = {
    streamifyResponse: (streaming) => Object.assign(streaming, { [STREAMING]: true }),
    HttpResponseStream: { from: (stream) => stream },
  };
}

async function initialise(message) {
  init = message;
  initialising = true;
  modern = Number(/^nodejs(\d+)/.exec(init.runtime)?.[1]) >= 24;
  try {
    settle(init.environment);
    handler = await load(init.handler);
  } catch (error) {
    failInit(error);
    return;
  }
  initialising = false;
  sendResult(init.id, 'null');
  later(next);
}

function failInit(thrown) {
  initialising = false;
  const error = describe(thrown);
  logError('Uncaught Exception', logId, error);
  sendError(init.id, error, true);
  exit(1);
}

// --------------------------------------------------------------------------------------------------------- life, death

process.on('beforeExit', () => {
  if (initialising) {
    failInit(new InitError('Runtime.NodeJsExit', 'The module waits for something that can no longer happen'));
  } else if (current?.called) {
    succeed(current, current.result);
  } else if (current && modern) {
    fail(current, new InitError('Runtime.NodeJsExit', 'The handler waits for something that can no longer happen'));
  } else if (current) {
    succeed(current, null);
  }
});

function die(title, error, status) {
  logError(title, logId, error);
  if (initialising) sendError(init.id, error, true);
  else if (current) sendError(current.id, error, true);
  exit(status);
}

process.on('uncaughtException', (thrown) => die('Uncaught Exception', describe(thrown), 129));

process.on('unhandledRejection', (reason) => {
  const { trace } = describe(reason);
  die('Unhandled Promise Rejection', { type: 'Runtime.UnhandledPromiseRejection', message: text(reason), trace }, 128);
});

function next() {
  const [headerSize, bodySize] = receive();
  const message = parse(inbox.utf8Slice(8, 8 + headerSize));
  if (message.init) initialise(message.init);
  else invoke(message, 8 + headerSize, bodySize);
  if (inbox.length > 1 << 22) inbox = Buffer.allocUnsafeSlow(1 << 16);
}

delete process.env.EDGEFN_FD;
delete process.env.EDGEFN_TASK;
delete process.env.EDGEFN_TMP;
for (const name of ['http', 'https', 'crypto', 'zlib', 'querystring']) require(name);
usage();
later(() => {
  // Inside the event loop: what Node.js does once behind a main script is done while nobody waits.
  send('{"ready":true}', NOTHING);
  next();
});
