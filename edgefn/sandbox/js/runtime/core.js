// What every runtime stands on: how a call begins and ends, how errors are told, how values are shown in a log.
// The parts of a runtime share one scope, and `natives`, which no function ever sees.

const { parse, stringify } = JSON;
const { defineProperty, entries, keys } = Object;
const { now } = Date;

// Adds what a program can use and does not see when it lists an object.
function hidden(object, name, value) {
  defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
}

function remove(object, ...names) {
  for (const name of names) delete object[name];
}

hidden(Math, 'random', natives.random);

// -------------------------------------------------------------------------------------------------------------- a call

let call = { text: '', failed: false, thrown: undefined }; // text is undefined until there is a result
let isLoading = false; // nobody can be asked yet
let questions = []; // [what is asked, who takes the answer, who hears that nobody can give one]

// A result as JSON: text, or true where the engine has it already.
const json = (value) => natives.json(value) ?? stringify(value);
let serialise = json;
let pending = () => { throw new Error('The function waits for a promise that nothing will settle'); };

function begin() {
  call = { text: undefined, failed: false, thrown: undefined };
  questions = [];
}

const ended = () => call.failed || call.text !== undefined;

function succeed(value) {
  if (ended()) return;
  try {
    const text = serialise(value);
    call.text = text === undefined ? 'null' : text;
  } catch (error) {
    fail(error);
  }
}

function fail(thrown) {
  if (ended()) return;
  call.failed = true;
  call.thrown = thrown;
}

function follow(value) {
  if (value !== null && typeof value === 'object' && typeof value.then === 'function') value.then(succeed, fail);
  else succeed(value);
}

const ASKS = 1;
const NOBODY = -2; // a size that no answer has

function outcome() {
  if (call.failed) throw call.thrown;
  if (call.text === undefined && questions.length > 0) return [ASKS, stringify(questions.map(([question]) => question))];
  if (call.text === undefined) pending();
  if (call.failed) throw call.thrown;
  return [0, call.text];
}

// A promise of what the host knows: bytes, or undefined where there is nothing.
function ask(...question) {
  if (isLoading) return Promise.reject(new Error('A key-value store can be read in the handler only, not at the top of the file'));
  return new Promise((resolve, reject) => { questions.push([question, resolve, reject]); });
}

function resume(answers) {
  const view = new DataView(answers.buffer);
  const asked = questions;
  questions = [];
  let at = 0;
  for (const [, resolve, reject] of asked) {
    const size = view.getInt32(at, true);
    at += 4;
    if (size === NOBODY) reject(new Error('No key-value store is associated with the function'));
    else resolve(size < 0 ? undefined : answers.slice(at, at + size));
    if (size > 0) at += size;
  }
}

// -------------------------------------------------------------------------------------------------------------- errors

const OWN = /\((?:edgefn|native)[:)]|^ *at (?:native|edgefn:)/;

function framesOf(error) {
  return String(error.stack || '').split('\n').filter((frame) => frame && !OWN.test(frame)).slice(0, 100);
}

// Whatever was thrown, as the fields of AWS's error document. A syntax error has its place in the message.
function described(thrown) {
  if (thrown === null) return { errorType: 'InternalError', errorMessage: 'null was thrown, as it is when memory runs out', trace: [] };
  if (!(thrown instanceof Error)) return { errorType: typeof thrown, errorMessage: shortened(String(thrown)), trace: [] };
  const frames = framesOf(thrown);
  let message = String(thrown.message);
  if (thrown instanceof SyntaxError && frames.length > 0) message += ` in ${frames[0].replace(/^ *at /, '').replace(/^.*\(|\)$/g, '')}`;
  const name = String(thrown.name);
  return { errorType: name, errorMessage: shortened(message), trace: [shortened(`${name}: ${message}`), ...frames.map(shortened)] };
}

const shortened = (text) => text.slice(0, 4096);

function describe(thrown) {
  try {
    return stringify(described(thrown));
  } catch {
    return '{"errorType":"Error","errorMessage":"an error that can not be read","trace":[]}';
  }
}
