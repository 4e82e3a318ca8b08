// CloudFront Functions: one file, one function `handler(event)`, and much that is not there.

const missing = (what) => function missing() { throw new EvalError(`${what} is not available in CloudFront Functions`); };

function without(constructor, what) {
  const stub = missing(what);
  stub.prototype = constructor.prototype;
  hidden(constructor.prototype, 'constructor', stub);
  return stub;
}

hidden(globalThis, 'eval', missing('eval'));
without(Object.getPrototypeOf(async () => {}).constructor, 'AsyncFunction');
without(Object.getPrototypeOf(function* generator() {}).constructor, 'GeneratorFunction');
without(Object.getPrototypeOf(async function* generator() {}).constructor, 'AsyncGeneratorFunction');
hidden(globalThis, 'Function', without(Function, 'Function'));
remove(
  globalThis, 'Atomics', 'FinalizationRegistry', 'SharedArrayBuffer', 'WeakRef', 'performance', 'navigator', 'queueMicrotask',
  'DOMException', 'Iterator', 'AsyncDisposableStack', 'DisposableStack', 'SuppressedError', 'atob', 'btoa',
);

hidden(globalThis, 'console', { log: (...values) => natives.log(values.map(plain).join(' ')) });

const modules = { crypto, querystring };

function required(name) {
  const plainName = String(name).replace(/^node:/, '');
  if (Object.hasOwn(modules, plainName)) return modules[plainName];
  throw new Error(`Cannot find module "${name}": a CloudFront Function has ${keys(modules).join(', ')}, and nothing else`);
}

hidden(globalThis, 'require', required);

// What the event says beside the event: given to the function through methods, not as fields.
let edge = {};
let dress = () => {};

let handler;

const NAME = 'edgefn handler';
const CAPTURE = `globalThis['${NAME}'](typeof handler === 'undefined' ? undefined : handler);`;

function load({ name, source, isModule }) {
  begin();
  isLoading = true;
  hidden(globalThis, NAME, (found) => { handler = found; });
  if (isModule) {
    natives.evaluate(`${source}\n;${CAPTURE}`, name, 'module', 1)[1].then(finishLoad, fail);
  } else {
    natives.evaluate(source, name, 'strict', 1);
    natives.evaluate(CAPTURE, name, 'strict', 1);
    finishLoad();
  }
}

function finishLoad() {
  delete globalThis[NAME];
  if (typeof handler === 'function') succeed(null);
  else fail(new ReferenceError('The function has no handler: it must have a function named "handler"'));
}

function handle(event) {
  begin();
  isLoading = false;
  edge = event.edge || {};
  delete event.edge;
  dress(event);
  follow(handler(event));
  return call.text;
}

natives.use({
  load,
  handle,
  resume,
  outcome,
  describe,
  resolve: (_base, name) => name,
  module: (name) => ({ default: required(name), ...required(name) }),
  url: (name) => name,
});
