// The module url: Node.js's older functions, and the classes.

// Node.js's older form: fields that are null where nothing stands.
const AUTOESCAPED = /[\t\n\r "'<>\\^`{|}]/g;
const WITH_HOST = /^([a-z][a-z0-9+.-]*:)?(?:\/\/((?:[^/?#]*@)?)(\[[^\]]*\]|[^/?#:]*)(?::(\d+))?)?([^?#]*)(\?[^#]*)?(#.*)?$/is;
const WITHOUT_HOST = /^()?()?()?()?([^?#]*)(\?[^#]*)?(#.*)?$/s;

function parseUrl(text, parseQueryToo = false, slashesDenoteHost = false) {
  checkString(text, 'url');
  const safe = text.trim().replace(/^[^?#]*/, (start) => start.replace(/\\/g, '/')).replace(AUTOESCAPED, encodeURIComponent).replace(/'/g, '%27');
  const found = (slashesDenoteHost || !safe.startsWith('//') ? WITH_HOST : WITHOUT_HOST).exec(safe) || [];
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
    hostname: hostname === undefined ? null : hostname.toLowerCase().replace(/^\[|\]$/g, ''),
    hash: hash || null,
    search: search || (parseQueryToo && !/^\/(?!\/)/.test(safe) ? '' : null),
    query: parseQueryToo ? parseQuery(query || '') : query,
    pathname: place,
    path: place || search ? (place || '') + (search || '') : null,
  };
  made.href = formatUrl(made);
  return made;
}

function formatWhatwg(url, { auth = true, fragment = true, search = true, unicode: _ = false } = {}) {
  const shown = new URL(url.href);
  if (!auth) [shown.username, shown.password] = ['', ''];
  if (!fragment) shown.hash = '';
  if (!search) shown.search = '';
  return shown.href;
}

function formatUrl(url, options) {
  if (typeof url === 'string') return parseUrl(url).href;
  if (url instanceof URL) return formatWhatwg(url, options);
  const protocol = url.protocol ? url.protocol.replace(/:?$/, ':') : '';
  const name = url.hostname && url.hostname.includes(':') ? `[${url.hostname}]` : url.hostname;
  const host = url.host || (name ? name + (url.port ? `:${url.port}` : '') : '');
  const auth = url.auth ? `${encodeURIComponent(url.auth).replace(/%3A/i, ':')}@` : '';
  const slashes = host && (url.slashes || Object.hasOwn(SPECIAL, protocol)) ? '//' : '';
  const query = url.query !== null && typeof url.query === 'object' ? stringifyQuery(url.query) : url.query;
  const search = url.search || (query ? `?${query}` : '');
  const path = (url.pathname || '').replace(/[?#]/g, encodeURIComponent);
  const pathname = slashes && path && !path.startsWith('/') ? `/${path}` : path;
  return `${protocol}${slashes}${host ? auth + host : ''}${pathname}${search.replace(/^(?!\?|$)/, '?').replace(/#/g, '%23')}${(url.hash || '').replace(/^(?!#|$)/, '#')}`;
}

const PLACEHOLDER = 'http://edgefn.invalid';

const url = {
  domainToASCII: (name) => hostOf(name, 'http:') || '',
  URL,
  URLSearchParams,
  parse: parseUrl,
  format: formatUrl,
  resolve: (from, to) => {
    const resolved = new URL(to, new URL(from, `${PLACEHOLDER}/`)).href;
    return resolved.startsWith(PLACEHOLDER) ? resolved.slice(PLACEHOLDER.length) : resolved;
  },
  fileURLToPath: (file) => {
    const { protocol, pathname } = new URL(file);
    if (protocol !== 'file:') throw refused(TypeError, 'ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file');
    return decodeURIComponent(pathname);
  },
  pathToFileURL: (name) => new URL(`file://${path.resolve(name).split('/').map(encodeURIComponent).join('/')}`),
};
