// URL and URLSearchParams (WHATWG), and the module url. Host names stay as they are: there is no IDNA here.

const SPECIAL = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21', 'file:': '' };

const percentEncoded = (text, unsafe) => text.toWellFormed().replace(unsafe, (character) => Array.from(
  utf8(character),
  (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
).join(''));

const IN_FRAGMENT = /[\0-\x20"<>`\x7f-\u{10ffff}]/gu;
const IN_QUERY = /[\0-\x20"#<>\x7f-\u{10ffff}]/gu;
const IN_SPECIAL_QUERY = /[\0-\x20"#'<>\x7f-\u{10ffff}]/gu;
const IN_PATH = /[\0-\x20"#<>?^`{}\x7f-\u{10ffff}]/gu;
const IN_USER = /[\0-\x20"#/:;<=>?@[\\\]^`{|}\x7f-\u{10ffff}]/gu;
const IN_FORM = /[^*\-.0-9A-Z_a-z ]/gu;

const formEncoded = (text) => percentEncoded(String(text), IN_FORM).replace(/ /g, '+');
const formDecoded = (text) => unescapeLoosely(text.replace(/\+/g, ' '));

class URLSearchParams {
  #pairs = [];

  #changed = () => {};

  constructor(init = '', changed = undefined) {
    if (changed !== undefined) this.#changed = changed;
    if (init !== null && typeof init === 'object') {
      const pairs = typeof init[Symbol.iterator] === 'function' ? [...init] : entries(init);
      this.#pairs = pairs.map(([name, value]) => [String(name).toWellFormed(), String(value).toWellFormed()]);
    } else {
      this.replaceAll(String(init).replace(/^\?/, ''));
    }
  }

  // For URL only: takes over a query that was set there.
  replaceAll(query) {
    this.#pairs = query.split('&').filter((piece) => piece !== '').map((piece) => {
      const border = piece.indexOf('=');
      return border < 0 ? [formDecoded(piece), ''] : [formDecoded(piece.slice(0, border)), formDecoded(piece.slice(border + 1))];
    });
  }

  get size() { return this.#pairs.length; }

  append(name, value) {
    this.#pairs.push([String(name), String(value)]);
    this.#changed(this);
  }

  delete(name, value) {
    this.#pairs = this.#pairs.filter(([key, item]) => key !== String(name) || (value !== undefined && item !== String(value)));
    this.#changed(this);
  }

  get(name) {
    const pair = this.#pairs.find(([key]) => key === String(name));
    return pair === undefined ? null : pair[1];
  }

  getAll(name) { return this.#pairs.filter(([key]) => key === String(name)).map(([, value]) => value); }

  has(name, value) { return this.#pairs.some(([key, item]) => key === String(name) && (value === undefined || item === String(value))); }

  set(name, value) {
    const at = this.#pairs.findIndex(([key]) => key === String(name));
    if (at < 0) {
      this.#pairs.push([String(name), String(value)]);
    } else {
      this.#pairs[at][1] = String(value);
      this.#pairs = this.#pairs.filter(([key], index) => index <= at || key !== String(name));
    }
    this.#changed(this);
  }

  sort() {
    this.#pairs.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
    this.#changed(this);
  }

  forEach(visit, self) { for (const [name, value] of this.#pairs) visit.call(self, value, name, this); }

  * entries() { for (const [name, value] of this.#pairs) yield [name, value]; }

  * keys() { for (const [name] of this.#pairs) yield name; }

  * values() { for (const [, value] of this.#pairs) yield value; }

  [Symbol.iterator]() { return this.entries(); }

  toString() { return this.#pairs.map(([name, value]) => `${formEncoded(name)}=${formEncoded(value)}`).join('&'); }
}

function invalidUrl(input) {
  const error = new TypeError('Invalid URL');
  error.code = 'ERR_INVALID_URL';
  error.input = input;
  return error;
}

// Resolves "." and "..", also in their encoded forms.
function withoutDots(pathname) {
  const kept = [];
  const segments = pathname.split('/').slice(1);
  segments.forEach((segment, at) => {
    const plainSegment = segment.replace(/%2e/gi, '.');
    const isLast = at === segments.length - 1;
    if (plainSegment === '..') kept.pop();
    else if (plainSegment !== '.') kept.push(segment);
    if (isLast && (plainSegment === '.' || plainSegment === '..')) kept.push('');
  });
  return `/${kept.join('/')}`;
}

const NUMBER = /^(?:0x[0-9a-f]*|\d+)$/i;

function ipv4(parts) {
  const numbers = parts.map((part) => (/^0x/i.test(part) ? parseInt(part.slice(2) || '0', 16) : /^0\d/.test(part) ? parseInt(part, 8) : Number(part)));
  const last = numbers.pop();
  if (numbers.some((number) => !(number <= 255)) || !(last < 256 ** (4 - numbers.length)) || numbers.length > 3) return null;
  const value = numbers.reduce((sum, number, at) => sum + number * 256 ** (3 - at), last);
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

function hostOf(text, protocol) {
  if (text.startsWith('[')) {
    if (!/^\[[0-9a-f:.]+\]$/i.test(text)) return null;
    return text.toLowerCase();
  }
  if (!Object.hasOwn(SPECIAL, protocol)) return /[\0-\x20#/<>?@[\\\]^|]/.test(text) ? null : percentEncoded(text, /[\0-\x1f\x7f-\u{10ffff}]/gu);
  const host = unescapeLoosely(text).toLowerCase();
  if (host === '' || /[\0-\x20#%/:<>?@[\\\]^`{|}\x7f]/.test(host)) return null;
  const parts = host.replace(/\.$/, '').split('.');
  return NUMBER.test(parts[parts.length - 1]) ? ipv4(parts) : host;
}

const ABSOLUTE = /^([a-z][a-z0-9+.-]*:)(.*)$/is;

// Splits what stands behind the protocol: [authority or null, path, query or null, fragment or null].
function pieces(rest, isSpecial) {
  const [, beforeHash, hash = null] = /^([^#]*)(?:#(.*))?$/s.exec(rest);
  const [, beforeQuery, query = null] = /^([^?]*)(?:\?(.*))?$/s.exec(beforeHash);
  const slashed = isSpecial ? beforeQuery.replace(/\\/g, '/') : beforeQuery;
  const found = (isSpecial ? /^\/*([^/]*)(.*)$/s : /^\/\/([^/]*)(.*)$/s).exec(slashed);
  return found ? [found[1], found[2], query, hash] : [null, slashed, query, hash];
}

class URL {
  #parts;

  #params;

  constructor(input, base) {
    const text = String(input).replace(/^[\0-\x20]+|[\0-\x20]+$/g, '').replace(/[\t\n\r]/g, '');
    this.#parts = this.#parsed(text, base === undefined ? undefined : new URL(base)) || (() => { throw invalidUrl(String(input)); })();
    this.#params = new URLSearchParams(this.search, (params) => { this.#parts.query = String(params) || null; });
  }

  static canParse(input, base) { return URL.parse(input, base) !== null; }

  static parse(input, base) {
    try {
      return new URL(input, base);
    } catch {
      return null;
    }
  }

  #parsed(text, base) {
    const absolute = ABSOLUTE.exec(text);
    const protocol = absolute && absolute[1].toLowerCase();
    const relativeToBase = base && absolute && protocol === base.protocol && Object.hasOwn(SPECIAL, protocol) && !/^[/\\]{2}/.test(absolute[2]);
    if (absolute && !relativeToBase) return this.#absolute(protocol, absolute[2]);
    return base ? this.#relative(relativeToBase ? absolute[2] : text, base) : null;
  }

  #absolute(protocol, rest) {
    const isSpecial = Object.hasOwn(SPECIAL, protocol);
    const [authority, pathname, query, hash] = pieces(rest, isSpecial);
    const made = { protocol, username: '', password: '', host: null, port: '', path: '', query: null, hash: null };
    if (authority === null) {
      made.path = pathname.startsWith('/') ? withoutDots(percentEncoded(pathname, IN_PATH)) : percentEncoded(pathname, /[\0-\x1f\x7f-\u{10ffff}]/gu);
    } else if (!this.#authority(made, authority)) {
      return null;
    } else {
      made.path = withoutDots(percentEncoded(pathname || '/', IN_PATH));
    }
    return this.#ended(made, query, hash);
  }

  #relative(text, base) {
    const isSpecial = Object.hasOwn(SPECIAL, base.protocol);
    if (/^[/\\]{2}/.test(isSpecial ? text : text.replace(/\\/g, ' '))) return this.#absolute(base.protocol, text);
    const made = { ...base.#parts, hash: null };
    const [, beforeHash, hash = null] = /^([^#]*)(?:#(.*))?$/s.exec(text);
    const [, pathPart, query = null] = /^([^?]*)(?:\?(.*))?$/s.exec(beforeHash);
    const pathname = isSpecial ? pathPart.replace(/\\/g, '/') : pathPart;
    if (made.host === null && !made.path.startsWith('/')) return null;
    if (pathname === '') return this.#ended(made, query === null ? base.#parts.query : query, hash, query === null);
    const whole = pathname.startsWith('/') ? pathname : made.path.replace(/[^/]*$/, '') + pathname;
    made.path = withoutDots(percentEncoded(whole, IN_PATH));
    return this.#ended(made, query, hash);
  }

  #ended(made, query, hash, isEncoded = false) {
    const unsafe = Object.hasOwn(SPECIAL, made.protocol) ? IN_SPECIAL_QUERY : IN_QUERY;
    made.query = query === null || isEncoded ? query : percentEncoded(query, unsafe);
    made.hash = hash === null ? null : percentEncoded(hash, IN_FRAGMENT);
    return made;
  }

  #authority(made, authority) {
    const at = authority.lastIndexOf('@');
    const [, user = '', password = ''] = at < 0 ? [] : /^([^:]*)(?::(.*))?$/s.exec(authority.slice(0, at));
    const found = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(authority.slice(at + 1));
    if (!found || Number(found[2]) > 65535) return false;
    made.username = percentEncoded(user, IN_USER);
    made.password = percentEncoded(password, IN_USER);
    made.host = made.protocol === 'file:' && found[1] === '' ? '' : hostOf(found[1], made.protocol);
    const port = found[2] ? String(Number(found[2])) : '';
    made.port = port === SPECIAL[made.protocol] ? '' : port;
    return made.host !== null;
  }

  get href() {
    const { protocol, username, password, host, path: pathname } = this.#parts;
    const user = username || password ? `${username}${password ? `:${password}` : ''}@` : '';
    const start = host === null ? protocol : `${protocol}//${user}${this.host}`;
    const { query, hash } = this.#parts;
    return `${start}${pathname}${query === null ? '' : `?${query}`}${hash === null ? '' : `#${hash}`}`;
  }

  set href(value) {
    this.#parts = this.#parsed(String(value)) || (() => { throw invalidUrl(String(value)); })();
    this.#params.replaceAll(this.#parts.query || '');
  }

  get origin() {
    return Object.hasOwn(SPECIAL, this.protocol) && this.protocol !== 'file:' ? `${this.protocol}//${this.host}` : 'null';
  }

  get protocol() { return this.#parts.protocol; }

  set protocol(value) {
    const protocol = `${String(value).replace(/:.*$/s, '').toLowerCase()}:`;
    if (!/^[a-z][a-z0-9+.-]*:$/.test(protocol) || Object.hasOwn(SPECIAL, protocol) !== Object.hasOwn(SPECIAL, this.protocol)) return;
    this.#parts.protocol = protocol;
    if (this.port === SPECIAL[protocol]) this.#parts.port = '';
  }

  get username() { return this.#parts.username; }

  set username(value) { if (this.#parts.host) this.#parts.username = percentEncoded(String(value), IN_USER); }

  get password() { return this.#parts.password; }

  set password(value) { if (this.#parts.host) this.#parts.password = percentEncoded(String(value), IN_USER); }

  get host() { return (this.#parts.host || '') + (this.#parts.port ? `:${this.#parts.port}` : ''); }

  set host(value) {
    const changed = { ...this.#parts };
    const text = String(value).replace(/[/?#\\].*$/s, '');
    if (changed.host === null || text.includes('@') || !this.#authority(changed, text)) return;
    this.#parts.host = changed.host;
    if (/:\d+$/.test(text)) this.#parts.port = changed.port;
  }

  get hostname() { return this.#parts.host || ''; }

  set hostname(value) {
    const host = this.#parts.host === null ? null : hostOf(String(value).replace(/[/?#\\:].*$/s, ''), this.protocol);
    if (host !== null) this.#parts.host = host;
  }

  get port() { return this.#parts.port; }

  set port(value) {
    const digits = /^\d*/.exec(String(value))[0];
    if (this.#parts.host && (digits || value === '') && Number(digits) <= 65535) {
      this.#parts.port = digits === '' || String(Number(digits)) === SPECIAL[this.protocol] ? '' : String(Number(digits));
    }
  }

  get pathname() { return this.#parts.path; }

  set pathname(value) {
    const text = Object.hasOwn(SPECIAL, this.protocol) ? String(value).replace(/\\/g, '/') : String(value);
    this.#parts.path = withoutDots(percentEncoded(text.startsWith('/') ? text : `/${text}`, IN_PATH));
  }

  get search() { return this.#parts.query ? `?${this.#parts.query}` : ''; }

  set search(value) {
    const text = String(value).replace(/^\?/, '');
    const unsafe = Object.hasOwn(SPECIAL, this.protocol) ? IN_SPECIAL_QUERY : IN_QUERY;
    this.#parts.query = text === '' ? null : percentEncoded(text, unsafe);
    this.#params.replaceAll(this.#parts.query || '');
  }

  get searchParams() { return this.#params; }

  get hash() { return this.#parts.hash ? `#${this.#parts.hash}` : ''; }

  set hash(value) {
    const text = String(value).replace(/^#/, '');
    this.#parts.hash = text === '' ? null : percentEncoded(text, IN_FRAGMENT);
  }

  toString() { return this.href; }

  toJSON() { return this.href; }
}

// Node.js's older form: fields that are null where nothing stands.
function parseUrl(text, parseQueryToo = false) {
  const found = /^([a-z][a-z0-9+.-]*:)?(?:\/\/((?:[^/?#]*@)?)([^/?#:]*)(?::(\d+))?)?([^?#]*)(\?[^#]*)?(#.*)?$/is.exec(String(text).trim()) || [];
  const [, protocol, user, hostname, port, pathname, search, hash] = found;
  const host = hostname === undefined ? null : hostname.toLowerCase() + (port ? `:${port}` : '');
  const query = search ? search.slice(1) : null;
  const place = pathname || (host ? '/' : null);
  const made = {
    protocol: protocol ? protocol.toLowerCase() : null,
    slashes: hostname === undefined ? null : true,
    auth: user ? unescapeLoosely(user.slice(0, -1)) : null,
    host,
    port: port || null,
    hostname: hostname === undefined ? null : hostname.toLowerCase(),
    hash: hash || null,
    search: search || (parseQueryToo ? '' : null),
    query: parseQueryToo ? parseQuery(query || '') : query,
    pathname: place,
    path: place || search ? (place || '') + (search || '') : null,
  };
  made.href = formatUrl(made);
  return made;
}

function formatUrl(url) {
  if (typeof url === 'string') return parseUrl(url).href;
  if (url instanceof URL) return url.href;
  const protocol = url.protocol ? url.protocol.replace(/:?$/, ':') : '';
  const host = url.host || (url.hostname ? url.hostname + (url.port ? `:${url.port}` : '') : '');
  const auth = url.auth ? `${encodeURIComponent(url.auth).replace(/%3A/i, ':')}@` : '';
  const slashes = host && (url.slashes || Object.hasOwn(SPECIAL, protocol) || !protocol) ? '//' : '';
  const query = url.query !== null && typeof url.query === 'object' ? stringifyQuery(url.query) : url.query;
  const search = url.search || (query ? `?${query}` : '');
  const pathname = (url.pathname || '').replace(/[?#]/g, encodeURIComponent);
  return `${protocol}${slashes}${host ? auth + host : ''}${pathname}${search.replace(/^(?!\?|$)/, '?').replace(/#/g, '%23')}${(url.hash || '').replace(/^(?!#|$)/, '#')}`;
}

const PLACEHOLDER = 'http://edgefn.invalid';

const url = {
  URL,
  URLSearchParams,
  parse: parseUrl,
  format: formatUrl,
  resolve: (from, to) => {
    const resolved = new URL(to, new URL(from, `${PLACEHOLDER}/`)).href;
    return resolved.startsWith(PLACEHOLDER) ? resolved.slice(PLACEHOLDER.length) : resolved;
  },
  fileURLToPath: (file) => decodeURIComponent(new URL(file).pathname),
  pathToFileURL: (name) => new URL(`file://${path.resolve(name).split('/').map(encodeURIComponent).join('/')}`),
};
