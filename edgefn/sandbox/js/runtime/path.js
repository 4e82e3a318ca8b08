// The module path, for POSIX paths.

const checkPath = (name) => checkString(name, 'path');

function normalizedParts(path, allowAbove) {
  const parts = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts[parts.length - 1] !== '..') parts.pop();
    else if (allowAbove) parts.push('..');
  }
  return parts;
}

const path = {
  sep: '/',
  delimiter: ':',
  isAbsolute(name) {
    checkPath(name);
    return name.startsWith('/');
  },
  toNamespacedPath: (name) => name,
  normalize(name) {
    checkPath(name);
    if (name === '') return '.';
    const absolute = name.startsWith('/');
    const whole = normalizedParts(name, !absolute).join('/');
    const ending = name.endsWith('/') && whole ? '/' : '';
    return (absolute ? '/' : '') + whole + ending || (absolute ? '/' : name.endsWith('/') ? './' : '.');
  },
  join(...names) {
    names.forEach(checkPath);
    const whole = names.filter((name) => name !== '').join('/');
    return whole === '' ? '.' : path.normalize(whole);
  },
  resolve(...names) {
    let whole = '';
    names.forEach(checkPath);
    for (const name of ['/var/task', ...names]) if (name !== '') whole = name.startsWith('/') ? name : `${whole}/${name}`;
    return `/${normalizedParts(whole, false).join('/')}`;
  },
  relative(from, to) {
    const here = normalizedParts(path.resolve(from), false);
    const there = normalizedParts(path.resolve(to), false);
    let same = 0;
    while (same < here.length && same < there.length && here[same] === there[same]) same += 1;
    return [...here.slice(same).map(() => '..'), ...there.slice(same)].join('/');
  },
  dirname(name) {
    checkPath(name);
    const border = name.replace(/(.)\/+$/s, '$1').lastIndexOf('/');
    if (border < 0) return '.';
    if (border === 0) return '/';
    return border === 1 && name.startsWith('//') ? '//' : name.slice(0, border);
  },
  basename(name, ending = '') {
    checkPath(name);
    if (ending !== '') checkString(ending, 'suffix');
    if (ending === name) return '';
    const base = name.replace(/\/+$/, '').replace(/^.*\//s, '');
    return ending && base !== ending && base.endsWith(ending) ? base.slice(0, -ending.length) : base;
  },
  extname(name) {
    const base = path.basename(name);
    const dot = base.lastIndexOf('.');
    return dot < 1 || /^\.+$/.test(base) && base === '..' ? '' : base.slice(dot);
  },
  parse(name) {
    const base = path.basename(name);
    const ext = path.extname(base);
    const root = name.startsWith('/') ? '/' : '';
    const dir = name.replace(/\/+$/, '').includes('/') ? path.dirname(name).replace(/^\/\/$/, '/') : root;
    return { root, dir, base, ext, name: ext ? base.slice(0, -ext.length) : base };
  },
  format({ dir, root = '', base, name = '', ext = '' }) {
    const last = base || name + (ext && !ext.startsWith('.') ? `.${ext}` : ext);
    if (!dir) return root + last;
    return dir === root ? dir + last : `${dir}/${last}`;
  },
};
path.posix = path;
