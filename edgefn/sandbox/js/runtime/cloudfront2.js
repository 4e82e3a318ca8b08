// cloudfront-js-2.0: Buffer, text coding, and the module cloudfront: key-value store, place, origin of the request.

for (const [name, value] of entries({ Buffer, TextDecoder, TextEncoder, atob, btoa })) hidden(globalThis, name, value);
modules.buffer = { Buffer };

const MOST_LOGGED = 800;

const readers = {
  string: (bytes) => natives.text(bytes, 'utf8'),
  json: (bytes) => parse(natives.text(bytes, 'utf8')),
  bytes: (bytes) => asBuffer(bytes),
};

class KeyValueStore {
  async get(key, { format = 'string' } = {}) {
    if (!Object.hasOwn(readers, format)) throw new TypeError(`Unknown format "${format}": it is string, json or bytes`);
    const value = await ask('get', String(key));
    if (value === undefined) throw new Error(`KeyNotFound: the key-value store has no key "${key}"`);
    return readers[format](value);
  }

  async exists(key) { return (await ask('get', String(key))) !== undefined; }

  async meta() { return parse(natives.text(await ask('meta'), 'utf8')); }
}

function kvs(id) {
  if (id !== undefined && typeof id !== 'string') throw new TypeError('The id of a key-value store must be a string');
  return new KeyValueStore();
}

let said = {}; // what goes back beside the result

function choose(change) {
  if (edge.eventType !== undefined && edge.eventType !== 'viewer-request') {
    throw new Error('The origin can be chosen at viewer-request only');
  }
  said.origin = parse(stringify(change));
}

function objectOf(value, what) {
  if (value === null || typeof value !== 'object') throw new TypeError(`${what} must be an object`);
  return value;
}

const cloudfront = {
  kvs,
  updateRequestOrigin: (origin) => choose({ update: objectOf(origin, 'The origin') }),
  selectRequestOriginById: (id, overrides = {}) => choose({ select: String(id), overrides: objectOf(overrides, 'The overrides') }),
  createRequestOriginGroup: (group) => choose({ group: objectOf(group, 'The origin group') }),
  logCustomData: (text) => {
    if (utf8(String(text)).length > MOST_LOGGED) throw new RangeError(`logCustomData takes at most ${MOST_LOGGED} bytes`);
    said.log = String(text);
  },
  edgeLocation: undefined,
};
modules.cloudfront = cloudfront;

// The query as it would stand in the request line.
function queryOf(shownQuery) {
  return entries(shownQuery || {}).flatMap(([name, item]) => (item.multiValue || [item])
    .map(({ value }) => (value === '' ? name : `${name}=${value}`))).join('&');
}

dress = (event) => {
  said = {};
  const { request } = event;
  edge.eventType = event.context && event.context.eventType;
  cloudfront.edgeLocation = edge.location;
  if (request) {
    const { rawQuery } = edge;
    const { querystring: shownQuery } = request;
    hidden(request, 'rawQueryString', () => (rawQuery === undefined ? queryOf(shownQuery) || undefined : rawQuery ?? undefined));
  }
};

serialise = (value) => {
  const tells = keys(said).length > 0 && value !== null && typeof value === 'object';
  return json(tells ? { ...value, edge: said } : value);
};
