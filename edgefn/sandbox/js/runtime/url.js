// URL (WHATWG).

const SPECIAL = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21', 'file:': '' };

const cleaned = (value) => String(value).replace(/[\t\n\r]/g, '');

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

const ABSOLUTE = /^([a-z][a-z0-9+.-]*:)(.*)$/is;

// Splits what stands behind the protocol: [authority or null, path, query or null, fragment or null].
function pieces(rest, protocol) {
  const isSpecial = Object.hasOwn(SPECIAL, protocol);
  const [, beforeHash, hash = null] = /^([^#]*)(?:#(.*))?$/s.exec(rest);
  const [, beforeQuery, query = null] = /^([^?]*)(?:\?(.*))?$/s.exec(beforeHash);
  const slashed = isSpecial ? beforeQuery.replace(/\\/g, '/') : beforeQuery;
  if (protocol === 'file:' && !slashed.startsWith('//')) return ['', slashed, query, hash];
  const found = (isSpecial && protocol !== 'file:' ? /^\/*([^/]*)(.*)$/s : /^\/\/([^/]*)(.*)$/s).exec(slashed);
  return found ? [found[1], found[2], query, hash] : [null, slashed, query, hash];
}

class URL {
  #parts;

  #params;

  constructor(input, base) {
    needs(['url'], arguments);
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
    const [authority, pathname, query, hash] = pieces(rest, protocol);
    const made = { protocol, username: '', password: '', host: null, port: '', path: '', query: null, hash: null };
    if (authority === null) {
      made.path = pathname.startsWith('/') ? withoutDots(percentEncoded(pathname, IN_PATH)) : percentEncoded(pathname, /[\0-\x1f\x7f-\u{10ffff}]/gu);
    } else if (!this.#authority(made, authority)) {
      return null;
    } else {
      const whole = Object.hasOwn(SPECIAL, protocol) && !pathname.startsWith('/') ? `/${pathname}` : pathname;
      made.path = whole === '' ? '' : withoutDots(percentEncoded(whole, IN_PATH));
    }
    return this.#ended(made, query, hash);
  }

  #relative(text, base) {
    const isSpecial = Object.hasOwn(SPECIAL, base.protocol);
    if (base.#isOpaque) return text.startsWith('#') ? this.#ended({ ...base.#parts }, base.#parts.query, text.slice(1), true) : null;
    if (/^[/\\]{2}/.test(isSpecial ? text : text.replace(/\\/g, ' '))) return this.#absolute(base.protocol, text);
    const made = { ...base.#parts, hash: null };
    const [, beforeHash, hash = null] = /^([^#]*)(?:#(.*))?$/s.exec(text);
    const [, pathPart, query = null] = /^([^?]*)(?:\?(.*))?$/s.exec(beforeHash);
    const pathname = isSpecial ? pathPart.replace(/\\/g, '/') : pathPart;
    if (pathname === '') return this.#ended(made, query === null ? base.#parts.query : query, hash, query === null);
    const whole = pathname.startsWith('/') ? pathname : made.path.replace(/[^/]*$/, '') + pathname;
    made.path = withoutDots(percentEncoded(whole, IN_PATH));
    return this.#ended(made, query, hash);
  }

  get #isOpaque() { return this.#parts.host === null && !this.#parts.path.startsWith('/'); }

  #ended(made, query, hash, isEncoded = false) {
    const unsafe = Object.hasOwn(SPECIAL, made.protocol) ? IN_SPECIAL_QUERY : IN_QUERY;
    made.query = query === null || isEncoded ? query : percentEncoded(query, unsafe);
    made.hash = hash === null ? null : percentEncoded(hash, IN_FRAGMENT);
    return made;
  }

  #authority(made, authority) {
    if (made.protocol === 'file:') {
      made.host = authority === '' || authority.toLowerCase() === 'localhost' ? '' : hostOf(authority, made.protocol);
      return made.host !== null;
    }
    const at = authority.lastIndexOf('@');
    const [, user = '', password = ''] = at < 0 ? [] : /^([^:]*)(?::(.*))?$/s.exec(authority.slice(0, at));
    const found = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(authority.slice(at + 1));
    if (!found || Number(found[2]) > 65535) return false;
    made.username = percentEncoded(user, IN_USER);
    made.password = percentEncoded(password, IN_USER);
    made.host = hostOf(found[1], made.protocol);
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
    if (this.protocol === 'blob:') {
      const inner = URL.parse(this.pathname);
      return inner && /^https?:$/.test(inner.protocol) ? inner.origin : 'null';
    }
    return Object.hasOwn(SPECIAL, this.protocol) && this.protocol !== 'file:' ? `${this.protocol}//${this.host}` : 'null';
  }

  get protocol() { return this.#parts.protocol; }

  set protocol(value) {
    const protocol = `${cleaned(value).replace(/:.*$/s, '').toLowerCase()}:`;
    if (!/^[a-z][a-z0-9+.-]*:$/.test(protocol) || Object.hasOwn(SPECIAL, protocol) !== Object.hasOwn(SPECIAL, this.protocol)) return;
    if (this.protocol === 'file:' || (protocol === 'file:' && this.#parts.port !== '')) return;
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
    const text = cleaned(value).replace(/[/?#\\].*$/s, '');
    if (changed.host === null || text.includes('@') || !this.#authority(changed, text)) return;
    this.#parts.host = changed.host;
    if (/:\d+$/.test(text)) this.#parts.port = changed.port;
  }

  get hostname() { return this.#parts.host || ''; }

  set hostname(value) {
    const text = cleaned(value).replace(/[/?#\\].*$/s, '');
    const fits = this.#parts.host !== null && (text.startsWith('[') || !/[:@]/.test(text));
    const host = fits ? hostOf(text, this.protocol) : null;
    if (host !== null && (host !== '' || !Object.hasOwn(SPECIAL, this.protocol))) this.#parts.host = host;
  }

  get port() { return this.#parts.port; }

  set port(value) {
    const digits = /^\d*/.exec(cleaned(value))[0];
    if (this.#parts.host && (digits || value === '') && Number(digits) <= 65535) {
      this.#parts.port = digits === '' || String(Number(digits)) === SPECIAL[this.protocol] ? '' : String(Number(digits));
    }
  }

  get pathname() { return this.#parts.path; }

  set pathname(value) {
    if (this.#isOpaque) return;
    const text = Object.hasOwn(SPECIAL, this.protocol) ? cleaned(value).replace(/\\/g, '/') : cleaned(value);
    const isNone = text === '' && !Object.hasOwn(SPECIAL, this.protocol);
    this.#parts.path = isNone ? '' : withoutDots(percentEncoded(text.startsWith('/') ? text : `/${text}`, IN_PATH));
  }

  get search() { return this.#parts.query ? `?${this.#parts.query}` : ''; }

  set search(value) {
    const text = cleaned(value).replace(/^\?/, '');
    const unsafe = Object.hasOwn(SPECIAL, this.protocol) ? IN_SPECIAL_QUERY : IN_QUERY;
    this.#parts.query = text === '' ? null : percentEncoded(text, unsafe);
    this.#params.replaceAll(this.#parts.query || '');
  }

  get searchParams() { return this.#params; }

  get hash() { return this.#parts.hash ? `#${this.#parts.hash}` : ''; }

  set hash(value) {
    const text = cleaned(value).replace(/^#/, '');
    this.#parts.hash = text === '' ? null : percentEncoded(text, IN_FRAGMENT);
  }

  get [Symbol.toStringTag]() { return 'URL'; }

  toString() { return this.href; }

  toJSON() { return this.href; }
}
