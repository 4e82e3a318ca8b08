'use strict';
// What the modules of runtime js are asked, and Node.js beside them: thousands of calls, each with its result or error.
// What is left out here is known to differ, and docs/cloudfront-functions.md says so.
const querystring = require('querystring');
const path = require('path');
const crypto = require('crypto');
const url = require('url');
const util = require('util');

// A small generator, the same everywhere.
let seed = 12345;
const next = (n) => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return (seed >> 8) % n; };
const pick = (list) => list[next(list.length)];
const bytes = (n) => Array.from({ length: n }, () => next(256));
const ALPH = ['a', 'Z', '0', ' ', '%', '%41', '%zz', '+', '&', '=', '/', '?', '#', '.', '..', ';', ':', '@', 'é', '€', '😀', '\ud800', '"', "'", '<', '\\', '\t', '[', ']', '|', '`', '{', '}', '~', '!', '*', '(', ')', '-', '_', '\u0000', '%E2%82%AC', '%ff'];
const text = (n) => Array.from({ length: next(n + 1) }, () => pick(ALPH)).join('');
const hex = (x) => Buffer.from(x).toString('hex');
const out = [];
const known = (v) => {
  if (v === undefined) return { u: 1 };
  if (typeof v === 'number' && !Number.isFinite(v)) return { n: String(v) };
  if (typeof v === 'number' && Object.is(v, -0)) return { n: '-0' };
  if (typeof v === 'bigint') return { b: String(v) };
  if (typeof v === 'string') return { s: hex(Buffer.from(v, 'utf16le')), t: v };
  if (Buffer.isBuffer(v)) return { buf: v.toString('hex') };
  if (v instanceof Uint8Array) return { u8: hex(v) };
  if (Array.isArray(v)) return v.map(known);
  if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, known(x)]));
  return v;
};
const t = (name, f) => {
  let result;
  try { result = known(f()); } catch (e) { result = { error: e.name, code: e.code, message: e.message }; }
  out.push([name, result]);
};
const each = (prefix, list, f) => list.forEach((x, i) => t(`${prefix}[${i}] ${typeof x === 'string' ? x : ((() => { try { return JSON.stringify(x); } catch { return "?"; } })())}`, () => f(x)));

// Buffer
const ENC = ['utf8', 'utf-8', 'UTF8', 'hex', 'base64', 'base64url', 'latin1', 'binary', 'ascii', 'utf16le', 'ucs2', 'ucs-2', 'utf-16le'];
const TEXTS = ['', 'a', 'ab', 'abc', 'abcd', 'héllo', '€uro', '😀x', '\ud800', 'x\udc00y', '00ff', '0', '0g', 'ABCDEF0', 'YQ==', 'YQ', 'Y Q = =', 'YWI=', 'YW-_', 'YW+/', '====', 'a=b', '\u0000\u0001', 'ÿþ', 'Zm9vYmFy\nZm9v', 'Zm9v*Zm9v'];
for (const e of ENC) for (const x of TEXTS) {
  t(`from(${JSON.stringify(x)},${e})`, () => Buffer.from(x, e));
  t(`byteLength(${JSON.stringify(x)},${e})`, () => Buffer.byteLength(x, e));
}
for (const e of ENC) for (let i = 0; i < 8; i++) { const b = bytes(i * 3 + next(3)); t(`toString(${b},${e})`, () => Buffer.from(b).toString(e)); }
each('utf8 decode', [[0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0xff, 0xfe], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x61, 0xe2, 0x82, 0x62], [0xef, 0xbb, 0xbf, 0x61], [0xf0, 0x90, 0x28, 0xbc], [0x80], [0xe2, 0x28, 0xa1]], (b) => [Buffer.from(b).toString(), new TextDecoder().decode(new Uint8Array(b)), new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array(b))]);
each('fatal', [[0xc3], [0x61], [0xff], [0xef, 0xbb, 0xbf, 0x61], []], (b) => new TextDecoder('utf8', { fatal: true }).decode(new Uint8Array(b)));
each('td label', ['utf-8', 'utf8', 'UTF-8', ' utf8 ', 'unicode-1-1-utf-8', 'nope'], (l) => { const d = new TextDecoder(l); return [d.encoding, d.fatal, d.ignoreBOM]; });
t('td stream', () => { const d = new TextDecoder(); return [d.decode(new Uint8Array([0xe2, 0x82]), { stream: true }), d.decode(new Uint8Array([0xac]), { stream: true }), d.decode()]; });
t('td stream bad end', () => { const d = new TextDecoder(); return [d.decode(new Uint8Array([0xe2, 0x82]), { stream: true }), d.decode()]; });
t('td view', () => new TextDecoder().decode(new DataView(new Uint8Array([97, 98, 99]).buffer, 1)));
t('td u16', () => new TextDecoder().decode(new Uint16Array([0x6161])));
t('td ab', () => new TextDecoder().decode(new Uint8Array([97]).buffer));
t('td none', () => new TextDecoder().decode());
t('td str', () => new TextDecoder().decode('x'));
t('te', () => [new TextEncoder().encode('h€😀\ud800'), new TextEncoder().encode(), new TextEncoder().encoding, new TextEncoder().encode(12)]);
t('te into', () => { const u = new Uint8Array(5); const r = new TextEncoder().encodeInto('a€😀', u); return [r, u]; });
t('te into lone', () => { const u = new Uint8Array(5); const r = new TextEncoder().encodeInto('\ud800b', u); return [r, u]; });
each('atob', ['', 'YQ==', 'YQ', 'Y', 'YWI=', 'YW I=', '*', 'YQ=', '====', 'YQ===', 'a\u00e9', 'ab-_', '\fYQ==\n', null, 12, 'YWI=YWI='], (x) => atob(x));
each('btoa', ['', 'a', 'é', '€', '\0', null, undefined, 12, '\xff\xfe'], (x) => btoa(x));
// from other things
t('from array', () => Buffer.from([1, 256, -1, 1.9, '3', 'x', NaN, 1e10]));
t('from u8', () => Buffer.from(new Uint8Array([1, 2])));
t('from u16', () => Buffer.from(new Uint16Array([1, 258])));
t('from ab', () => Buffer.from(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2));
t('from ab shares', () => { const u = new Uint8Array(2); const b = Buffer.from(u.buffer); b[0] = 7; return u[0]; });
t('from ab bad', () => Buffer.from(new ArrayBuffer(2), 3));
t('from json', () => Buffer.from(JSON.parse(JSON.stringify(Buffer.from('hi')))));
t('from arraylike', () => Buffer.from({ length: 2, 0: 5, 1: 6 }));
t('from String obj', () => Buffer.from(new String('hé')));
t('from toPrimitive', () => Buffer.from({ [Symbol.toPrimitive]() { return 'abc'; } }));
each('from bad', [5, null, undefined, true, {}], (x) => Buffer.from(x));
t('from enc bad', () => Buffer.from('a', 'nope'));
t('alloc', () => [Buffer.alloc(3), Buffer.alloc(3, 1), Buffer.alloc(5, 'ab'), Buffer.alloc(5, 'YWI=', 'base64'), Buffer.alloc(3, ''), Buffer.alloc(4, Buffer.from([1, 2])), Buffer.alloc(2, 257), Buffer.alloc(3, new Uint8Array([9]))]);
each('alloc bad', ['1', -1, NaN, null, undefined, {}, 1.5], (x) => Buffer.alloc(x).length);
t('allocUnsafe', () => [Buffer.allocUnsafe(3).length, Buffer.allocUnsafeSlow(2).length]);
t('byteLength', () => [Buffer.byteLength(new ArrayBuffer(3)), Buffer.byteLength(Buffer.from('é')), Buffer.byteLength(new Uint16Array(2)), Buffer.byteLength('é', 'nope')]);
each('byteLength bad', [5, null, {}], (x) => Buffer.byteLength(x));
t('compare', () => [Buffer.compare(Buffer.from('a'), Buffer.from('b')), Buffer.compare(Buffer.from('b'), Buffer.from('a')), Buffer.compare(Buffer.from('a'), Buffer.from('ab')), Buffer.compare(Buffer.from(''), Buffer.from('')), Buffer.from('abcd').compare(Buffer.from('xbcx'), 1, 3, 1, 3), Buffer.from('abc').compare(new Uint8Array([97]))]);
each('compare bad', ['a', 5, null], (x) => Buffer.compare(Buffer.from('a'), x));
each('inst compare bad', ['a', 5], (x) => Buffer.from('a').compare(x));
t('compare range bad', () => Buffer.from('abc').compare(Buffer.from('abc'), 0, 9));
t('concat', () => [Buffer.concat([]), Buffer.concat([Buffer.from('a'), new Uint8Array([98])]), Buffer.concat([Buffer.from('abc')], 2), Buffer.concat([Buffer.from('abc')], 5)]);
each('concat bad', [5, 'a', [5], ['a'], null], (x) => Buffer.concat(x));
t('isBuffer', () => [Buffer.isBuffer(Buffer.from('')), Buffer.isBuffer(new Uint8Array(1)), Buffer.isBuffer('x'), Buffer.isBuffer(null)]);
each('isEncoding', [...ENC, 'nope', '', 5, null, undefined, 'HEX', 'Base64URL'], (x) => Buffer.isEncoding(x));
t('copy', () => { const b = Buffer.alloc(5); return [Buffer.from('abcdef').copy(b), b, Buffer.from('xyz').copy(b, 3), b, Buffer.from('123').copy(b, 1, 1, 2), b, Buffer.from('q').copy(b, 9), Buffer.from('q').copy(b, 0, 1)]; });
each('copy bad', [[-1], [0, -1], [0, 9], [0, 0, -1]], (a) => Buffer.from('abc').copy(Buffer.alloc(5), ...a));
t('copy nontarget', () => Buffer.from('abc').copy([1, 2]));
t('copy overlap', () => { const b = Buffer.from('abcdef'); b.copy(b, 2, 0, 4); return b.toString(); });
t('equals', () => [Buffer.from('a').equals(Buffer.from('a')), Buffer.from('a').equals(new Uint8Array([97])), Buffer.from('a').equals(Buffer.from('ab'))]);
each('equals bad', ['a', 5], (x) => Buffer.from('a').equals(x));
each('fill', [['a'], ['ab', 1], ['ab', 1, 3], ['6162', 'hex'], ['zz', 'hex'], ['', 0], [0], [256], [-1], [1.7], [Buffer.from('xy')], [Buffer.from('')], ['é'], ['a', 'latin1'], [true], ['abc', 2, 4, 'utf8'], [new Uint8Array([1, 2]), 1]], (a) => Buffer.from('12345').fill(...a));
each('fill bad', [['a', -1], ['a', 0, 9], ['a', 9], ['a', 0, 2, 'nope'], ['a', 'nope'], ['a', 3, 1]], (a) => Buffer.from('12345').fill(...a));
each('indexOf', [['c'], ['z'], ['cd', 1], ['a', 1], ['a', -2], ['', 2], ['', 99], [99], [99 + 256], [Buffer.from('bc')], [Buffer.from('')], ['YmM=', 'base64'], ['YmM=', 0, 'base64'], ['b', NaN], ['b', undefined], ['b', null], ['b', {}], ['b', '2'], ['a', -99], [99.7], [new Uint8Array([98])], ['c', 2.9]], (a) => { const b = Buffer.from('abcdabcd'); return [b.indexOf(...a), b.lastIndexOf(...a), b.includes(...a)]; });
each('indexOf bad', [[{}], [null], [undefined], [true], [[1]]], (a) => Buffer.from('abc').indexOf(...a));
t('indexOf utf16', () => [Buffer.from('abc', 'utf16le').indexOf('b', 0, 'utf16le'), Buffer.from('abcb', 'utf16le').lastIndexOf('b', 'utf16le')]);
t('subarray', () => { const b = Buffer.from('abcdef'); const s = b.subarray(1, 3); s[0] = 90; return [s, b, b.subarray(-2), b.subarray(3, 1), b.slice(2), b.slice(-3, -1), b.slice(1.5, 3.7), Buffer.isBuffer(s), s.byteOffset - b.byteOffset, s.length, b.subarray('1', '3')]; });
each('swap', ['swap16', 'swap32', 'swap64'], (m) => [Buffer.from('0102030405060708', 'hex')[m](), Buffer.from('')[m]()]);
each('swap bad', ['swap16', 'swap32', 'swap64'], (m) => Buffer.from('abc')[m]());
t('toJSON', () => [Buffer.from('hé').toJSON(), JSON.stringify(Buffer.from('ab')), JSON.stringify({ b: Buffer.alloc(0) })]);
each('toString', [['utf8'], ['utf8', 1], ['utf8', 1, 3], ['hex', -1], ['utf8', 3, 1], [undefined, 2], [null, 1], ['', 1], ['utf8', '1', '3'], ['utf8', 99], ['utf8', 0, 99], ['utf8', NaN, 2], ['utf8', 0, -1], ['utf8', 1.9, 3.9], ['utf8', undefined, undefined]], (a) => Buffer.from('abcdef').toString(...a));
each('toString bad', ['nope', 5, {}], (e) => Buffer.from('abc').toString(e));
each('write', [['xy'], ['xy', 1], ['xyz', 1, 2], ['7879', 'hex'], ['7879', 1, 'hex'], ['7879', 1, 1, 'hex'], ['€', 4], ['€€', 0, 4], ['xy', 5], ['', 1], ['😀', 3], ['xy', 0, 'latin1'], ['xy', undefined], ['xy', undefined, undefined, 'utf8'], ['abcdefgh', 2], ['zz', 0, 'hex'], ['ab', 0, 1, 'utf16le'], ['ab', 0, 'utf16le']], (a) => { const b = Buffer.from('12345'); return [b.write(...a), b]; });
each('write bad', [[5], ['a', -1], ['a', 9], ['a', 0, 9], ['a', 0, -1], ['a', 0, 1, 'nope'], [null], ['a', 1.5], ['a', '1']], (a) => Buffer.from('12345').write(...a));
const B = () => Buffer.from('00ff7f8001fe3c4d5e6f', 'hex');
for (const n of ['Int8', 'UInt8', 'Uint8', 'Int16BE', 'Int16LE', 'UInt16BE', 'UInt16LE', 'Uint16LE', 'Int32BE', 'Int32LE', 'UInt32BE', 'UInt32LE', 'FloatBE', 'FloatLE', 'DoubleBE', 'DoubleLE', 'BigInt64BE', 'BigInt64LE', 'BigUInt64BE', 'BigUInt64LE', 'BigUint64LE']) {
  each(`read${n}`, [[], [0], [1], [2], [9], [10], [-1], [1.5], ['0'], [undefined], [NaN]], (a) => B()[`read${n}`](...a));
  const vals = n.startsWith('Big') ? [0n, 1n, -1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 63n), 5] : [0, 1, -1, 127, 128, 255, 256, -128, -129, 32767, 65535, 65536, -32769, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 1.5, NaN, '7', 'x', undefined, null, Infinity, 3.4e39, 1e400];
  for (const v of vals) t(`write${n}(${String(v)})`, () => { const b = Buffer.alloc(10); return [b[`write${n}`](v, 1), b]; });
  each(`write${n} at`, [[], [0], [9], [10], [-1], [1.5], ['0'], [undefined]], (a) => { const b = Buffer.alloc(10); return [b[`write${n}`](n.startsWith('Big') ? 1n : 1, ...a), b]; });
}
for (const n of ['IntBE', 'IntLE', 'UIntBE', 'UIntLE', 'UintBE', 'UintLE']) for (const s of [1, 2, 3, 4, 5, 6]) {
  for (const o of [0, 1, 3, 4]) t(`read${n}(${o},${s})`, () => B()[`read${n}`](o, s));
  for (const v of [0, 1, -1, 100, 127, 128, 200, 255, 256, 2 ** 24 - 1, 2 ** 31, 2 ** 40 - 1, 2 ** 47 - 1, 2 ** 47, 2 ** 48 - 1, 2 ** 48, -(2 ** 47), 1.7, '5', 'x']) t(`write${n}(${v},2,${s})`, () => { const b = Buffer.alloc(9); return [b[`write${n}`](v, 2, s), b]; });
  each(`read${n} bad`, [[0, 0], [0, 7], [8, 6], [-1, 2], [0, 1.5], ['0', 2], [0, '2'], [0], [], [1.5, 2], [undefined, 2]], (a) => B()[`read${n}`](...a));
  each(`write${n} bad`, [[1, 0, 0], [1, 0, 7], [1, 8, 6], [1, -1, 2], [1, '0', 2], [1, 0]], (a) => Buffer.alloc(9)[`write${n}`](...a));
}
t('index', () => { const b = Buffer.from('ab'); b[0] = 300; b[9] = 1; return [b[0], b[9], b.length, b.byteOffset >= 0, b.buffer instanceof ArrayBuffer]; });
t('iterate', () => [[...Buffer.from('ab')], [...Buffer.from('ab').entries()], [...Buffer.from('ab').keys()], Buffer.from('ab').map((x) => x + 1), Buffer.from('abc').filter((x) => x > 97), Buffer.from('cab').sort(), Buffer.from('abc').reverse(), Buffer.from([1, 2, 3]).reduce((a, b) => a + b, 0)]);
t('str concat', () => [`${Buffer.from('héy')}`, 'a' + Buffer.from('b'), String(Buffer.from('c'))]);
t('of', () => [Buffer.of(1, 2, 3), Buffer.isBuffer(Buffer.of(1))]);
t('new', () => Buffer.isBuffer(new Buffer('abc')));
t('call', () => Buffer('abc').toString());

// querystring
each('qs.parse', ['', 'a=1', 'a=1&b=2', 'a=1&a=2&a=3', 'a', 'a=', '=a', '&&a=1&&', 'a=b=c', 'a+b=c+d', '%61=%62', 'a=%zz', 'a=%ff', 'a=%E2%82%AC', '__proto__=1', 'hasOwnProperty=x', 'a[]=1&a[]=2', 'a=%', 'a=%4', '%=%', 'é=€', 'a=1;b=2', 'a=%00', 'a=%E2%82', 'constructor=1&toString=2', '=', '==', '&=&', 'a&a', 'a&a=', '+=+', 'a=%2B', 'a=%f0%9f%98%80', 'a=%ed%a0%80', 'a=x%ffy€z'], (x) => querystring.parse(x));
each('qs.parse opts', [['a:1;b:2', ';', ':'], ['a=>1,b=>2', ',', '=>'], ['a=1&b=2&c=3', null, null, { maxKeys: 2 }], ['a=1&b=2&c=3', null, null, { maxKeys: 0 }], ['a=1&b=2&c=3', null, null, { maxKeys: -1 }], ['a=1', '', ''], ['a=1&&b=2&c=3', '&', '=', { maxKeys: 2 }], ['foo&&bar', '&&'], [null], [5], [{}], [undefined]], (a) => querystring.parse(...a));
t('qs many', () => Object.keys(querystring.parse(Array.from({ length: 1500 }, (_, i) => `k${i}=v`).join('&'))).length);
t('qs many 0', () => Object.keys(querystring.parse(Array.from({ length: 1500 }, (_, i) => `k${i}=v`).join('&'), null, null, { maxKeys: 0 })).length);
t('qs decoder', () => querystring.parse('a=%41&b+c=d', '&', '=', { decodeURIComponent: (s) => `<${s}>` }));
t('qs decoder throws', () => querystring.parse('a=%41', '&', '=', { decodeURIComponent: () => { throw new Error('x'); } }));
t('qs decoder not fn', () => querystring.parse('a=%41', '&', '=', { decodeURIComponent: 5 }));
each('qs.stringify', [{}, { a: 1 }, { a: [1, 2], b: 'x y' }, { a: '' }, { a: null, b: undefined, c: true, d: false }, { a: { b: 1 } }, { 'é': '€&=' }, { a: [] }, { a: [[1]] }, { a: "!'()*~-_." }, { a: 1.5, b: -0, c: 1e21 }, null, 5, 'x', [1, 2]], (x) => querystring.stringify(x));
t('qs.stringify nan', () => querystring.stringify({ a: NaN, b: Infinity, c: 10n, d: Symbol.iterator, e() {} }));
t('qs.stringify lone', () => querystring.stringify({ a: '\ud800' }));
t('qs.stringify opts', () => [querystring.stringify({ a: 1, b: [2, 3] }, ';', ':'), querystring.stringify({ a: 'x y' }, null, null, { encodeURIComponent: (s) => `<${s}>` }), querystring.stringify({ a: 1 }, '', '')]);
each('qs.escape', ['a b', 'é', "!'()*~", '', '100%', 5, null, undefined, {}, '\ud800', true], (x) => querystring.escape(x));
each('qs.unescape', ['a%20b', 'a+b', '%zz', '%', '%E2%82', '%ff', '', 5, '%41%zz', '%c3%28'], (x) => querystring.unescape(x));
t('qs aliases', () => [querystring.decode('a=1'), querystring.encode({ a: 1 }), querystring.decode === querystring.parse, querystring.encode === querystring.stringify]);
for (let i = 0; i < 150; i++) { const x = text(8); t(`qs fuzz ${JSON.stringify(x)}`, () => querystring.parse(x)); t(`qs fuzz un ${JSON.stringify(x)}`, () => querystring.unescape(x)); }
for (let i = 0; i < 40; i++) { const x = JSON.parse(JSON.stringify({ [text(3)]: text(4), b: [text(2), text(2)] }).replace(/\\ud800/g, '')); t(`qs fuzz str ${JSON.stringify(x)}`, () => querystring.stringify(x)); }

// path
const PATHS = ['', '.', '..', '/', '//', '/a', '/a/', 'a', 'a/b', 'a//b', 'a/./b', 'a/../b', '../a', '/../a', 'a/b/..', 'a/b/../..', './a', './', '../', '/a/b/c.txt', 'c.tar.gz', '.bashrc', '.bashrc.bak', 'a.', 'a..', '...', 'a/.b', 'a.b/c', '/a.b/', 'a/b.c/', '..a', 'a b/c d.e f', '///a///b', 'a/..', './..', 'é/ü.x', 'C:\\x\\y.z', 'a.b.', '/.', '/...', 'x/.', 'x/..y', '//a', 'a//', './a/..', '..//..', '../..', '../../a', 'a/../../b', '.a.b', '/a/.'];
for (const m of ['normalize', 'dirname', 'basename', 'extname', 'parse', 'isAbsolute', 'toNamespacedPath']) each(`path.${m}`, PATHS, (p) => path[m](p));
each('path.resolve', PATHS, (p) => path.resolve('/base/dir', p));
for (const a of PATHS.slice(0, 24)) for (const b of ['', 'x', '../x', '/x', './x/', '..']) { t(`path.join(${a},${b})`, () => path.join(a, b)); t(`path.relative(/${a},/${b})`, () => path.relative(`/${a}`, `/${b}`)); }
each('path.basename ext', [['a.txt', '.txt'], ['a.txt', 'txt'], ['.txt', '.txt'], ['a/b.txt/', '.txt'], ['a.txt', 'a.txt'], ['aa', 'a'], ['a', 'aa'], ['a.txt', ''], ['a/.txt', '.txt'], ['a.txt/', 'xt']], (a) => path.basename(...a));
each('path.format', [{}, { dir: '/a', base: 'b' }, { root: '/', base: 'b' }, { root: '/', name: 'n', ext: '.e' }, { dir: 'd', name: 'n', ext: 'e' }, { dir: '/', root: '/', base: 'x' }, { name: 'n' }, { ext: '.e' }, { base: 'b', name: 'n', ext: '.e' }], (x) => path.format(x));
t('path consts', () => [path.sep, path.delimiter, path.posix === path, path.posix.sep]);
each('path bad', [5, null, undefined, {}], (x) => path.join('a', x));
each('path bad base', [5, null], (x) => path.basename(x));
each('path bad norm', [5, null], (x) => path.normalize(x));
t('path.join()', () => [path.join(), path.resolve('/'), path.join('', ''), path.resolve('/a', '', 'b', '../c')]);

// crypto
for (const h of ['md5', 'sha1', 'sha256', 'sha512', 'sha384', 'SHA256', 'sha-256', 'SHA-1', 'RSA-SHA256', 'nope']) {
  t(`hash ${h}`, () => crypto.createHash(h).update('héllo').digest('hex'));
  t(`hmac ${h}`, () => crypto.createHmac(h, 'key').update('héllo').digest('base64'));
}
for (const e of ['hex', 'base64', 'base64url', 'latin1', 'binary', undefined, 'buffer', 'utf8', 'ascii', 'utf16le']) t(`digest ${e}`, () => crypto.createHash('sha256').update('x').digest(e));
for (let i = 0; i < 40; i++) { const b = bytes(next(300)); const k = bytes(next(200)); t(`sizes ${i}`, () => ['md5', 'sha1', 'sha256', 'sha384', 'sha512'].map((h) => [crypto.createHash(h).update(Buffer.from(b)).digest('hex'), crypto.createHmac(h, Buffer.from(k)).update(Buffer.from(b)).digest('base64url')])); }
for (const n of [55, 56, 63, 64, 65, 111, 112, 119, 127, 128, 129]) t(`len ${n}`, () => ['md5', 'sha1', 'sha256', 'sha384', 'sha512'].map((h) => crypto.createHash(h).update('a'.repeat(n)).digest('hex')));
t('update enc', () => [crypto.createHash('md5').update('6162', 'hex').digest('hex'), crypto.createHash('md5').update('YWI=', 'base64').digest('hex'), crypto.createHash('md5').update('é', 'latin1').digest('hex'), crypto.createHash('md5').update('a').update('b').digest('hex'), crypto.createHash('md5').update(new Uint16Array([1, 2])).digest('hex'), crypto.createHash('md5').update(new DataView(new ArrayBuffer(2))).digest('hex')]);
each('update bad', [5, null, undefined, {}, [1]], (x) => crypto.createHash('md5').update(x));
t('digest twice', () => { const h = crypto.createHash('md5'); h.digest(); return h.digest(); });
t('update after', () => { const h = crypto.createHash('md5'); h.digest(); return h.update('a'); });
t('hmac update after', () => { const h = crypto.createHmac('md5', 'k'); h.digest(); return h.update('a'); });
t('copy', () => { const h = crypto.createHash('md5').update('a'); const c = h.copy(); return [c.update('b').digest('hex'), h.digest('hex')]; });
t('crypto.hash', () => [crypto.hash('sha256', 'abc'), crypto.hash('sha256', 'abc', 'base64'), crypto.hash('md5', Buffer.from('a'), 'buffer')]);
each('hmac key', ['', 'é', Buffer.from([1, 2]), new Uint8Array([3]), new ArrayBuffer(2)], (k) => crypto.createHmac('sha256', k).update('x').digest('hex'));
each('hmac key bad', [5, null, undefined], (k) => crypto.createHmac('sha256', k));
t('tse', () => [crypto.timingSafeEqual(Buffer.from('ab'), Buffer.from('ab')), crypto.timingSafeEqual(Buffer.from('ab'), Buffer.from('ac')), crypto.timingSafeEqual(new Uint8Array([1]), Buffer.from([1]))]);
t('tse len', () => crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('ab')));
t('tse bad', () => crypto.timingSafeEqual('a', 'a'));
t('random', () => [crypto.randomBytes(5).length, Buffer.isBuffer(crypto.randomBytes(1)), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()), crypto.randomInt(1), crypto.randomInt(3, 4), crypto.randomBytes(0).length, crypto.randomFillSync(Buffer.alloc(4)).length]);
each('randomBytes bad', [-1, 'x', null, undefined, 1e20], (x) => crypto.randomBytes(x).length);
each('randomInt bad', [[0], [-1], [5, 5], ['a'], [1.5]], (a) => crypto.randomInt(...a));
t('pbkdf2', () => [crypto.pbkdf2Sync('p', 's', 3, 20, 'sha1'), crypto.pbkdf2Sync('p', 's', 2, 70, 'sha512'), crypto.pbkdf2Sync(Buffer.from('p'), Buffer.from('salt'), 1, 16, 'sha256').toString('hex')]);
t('webcrypto rand', () => [crypto.getRandomValues(new Uint8Array(3)).length, typeof globalThis.crypto.randomUUID()]);
t('getHashes', () => ['md5', 'sha1', 'sha256', 'sha512'].every((h) => crypto.getHashes().includes(h)));
t('hkdf', () => Buffer.from(crypto.hkdfSync('sha256', 'key', 'salt', 'info', 20)).toString('hex'));

// URL
const URLS = ['http://a.b/c?d=e#f', 'https://A.B:443/', 'http://a:80/', 'http://a:8080/x/../y', 'http://u:p@h/', 'http://u@h', 'http://h', 'HTTP://H/%7Ex', 'http://h/a b', 'http://h/é?é=é#é', 'http://h/?a=b c', 'http://[::1]:80/', 'http://[::FFFF:1.2.3.4]/', 'http://[0:0:0:0:0:0:0:1]/x', 'http://[1::2:3:0:0:4]/', 'http://[g::1]/', 'http://1.2.3.4/', 'http://0x7f.1/', 'http://127.1/', 'http://256.1.1.1/', 'http://1.2.3.4.5/', 'http://h:65536/', 'http://h:0/', 'http://h:/', 'http://', 'http:///x', 'http:x', 'http:/x', 'mailto:a@b', 'data:text/plain,hi there', 'file:///a/b', 'javascript:alert(1)', 'foo://h/p', 'foo:bar', 'foo:/bar/../x', 'ws://h:80', 'wss://h:443/x', 'ftp://h:21/', '//h/p', '/p', 'p', '', ' http://h ', 'http://h\n/x', 'http://h\\x\\y', 'http://h/./a/../b/%2e%2e/c', 'http://h/a/..', 'http://h/..', 'http://h//a//b', 'http://ex%41mple.com/', 'http://a%20b/', 'http://a b/', 'http://h?q', 'http://h#f', 'http://h/?', 'http://h/#', 'http://h/?#', "http://h/?'\"<>`", 'http://h/{}|`"<>', 'http://h/#`"<>{}', 'http://u s:p w@h/', 'http://a@b@c/', 'http://u:p:q@h/', 'http://xn--bcher-kva.de/', 'http://h/%zz', 'http://h./', 'http://.h/', 'http://h..x/', 'http://-h-/', 'http://h_h/', 'http://h/;a=1', 'http://h/a%2fb', 'http://h:80a/', 'about:blank', 'blob:http://h/x', 'http://h/\u0000x', 'http://h/?\u0000', 'http://H.COM:80/a?b#c#d?e', 'http://1/', 'http://0xffffffff', 'http://4294967296', 'http://09/', 'http://h/a?b?c', '?x', '#x', 'http://@h/', 'http://:@h/', 'http://u:@h/', 'http://:p@h/', 'foo://u:p@H:99/x?y#z', 'foo://h h/', 'http://h/%', 'http://h/a%00'];
const show = (u) => ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'].map((k) => u[k]).concat([String(u), JSON.stringify(u), [...u.searchParams]]);
each('URL', URLS, (x) => show(new URL(x)));
for (const b of ['http://base/a/b/c?q#f', 'foo://base/a/b', 'mailto:x', 'file:///d/e', 'https://u:p@h:99/x/']) each(`URL on ${b}`, URLS, (x) => show(new URL(x, b)));
each('URL rel', ['g', './g', 'g/', '/g', '//g', '?y', 'g?y', '#s', 'g#s', 'g?y#s', ';x', 'g;x', '', '.', './', '..', '../', '../g', '../..', '../../g', '../../../g', '/./g', '/../g', 'g.', '.g', './../g', './g/.', 'g/./h', 'g/../h', 'g?y/../x', 'http:g', 'a:b', 'http://x/../y'], (x) => new URL(x, 'http://a/b/c/d;p?q').href);
each('canParse', URLS.slice(0, 40), (x) => [URL.canParse(x), URL.canParse(x, 'http://b/')]);
const SETTERS = ['protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash', 'href'];
const VALS = ['', 'x', 'https', 'https:', 'ftp', 'foo', '8080', '80', 'a:99', 'h/x', 'h?x', '/a/../b', 'a b', '?q=1', 'q=1', '#h', 'h', 'é', '99999', '12x', 'u@h', '[::1]:7', 'http://n/', 'x y?z#w', ':', '::', '%41', '%', "'\"<>`", '\\', 'a\tb', '1.2.3', '0'];
for (const base of ['http://u:p@h:1/p?q#f', 'foo://h/p', 'mailto:a', 'file:///x']) for (const s of SETTERS) each(`set ${s} ${base}`, VALS.filter((v) => !(s === 'port' && /^\D/.test(v)) && !(/^host/.test(s) && /^foo/.test(base) && /^[:\\]/.test(v))), (v) => { const u = new URL(base); u[s] = v; return show(u); });
t('URL searchParams live', () => { const u = new URL('http://h/?a=1'); u.searchParams.append('b', 'x y'); const r = [u.href]; u.searchParams.delete('a'); r.push(u.href); u.search = '?c=3'; r.push([...u.searchParams], u.searchParams.get('c')); u.searchParams.delete('c'); r.push(u.href); u.searchParams.set('é', '&='); r.push(u.href); return r; });
each('URL bad', [undefined, null, 5, {}], (x) => new URL(x));
t('URL error', () => { try { new URL('x'); } catch (e) { return [e.name, e.code, e.message, e.input]; } });
t('URL parse', () => [URL.parse('x'), URL.parse('http://h').href]);
t('URL noargs', () => new URL());
t('URL call', () => URL('http://h'));
// URLSearchParams
each('USP', ['', 'a=1', '?a=1&b=2', 'a=1&a=2', 'a+b=c%20d', '%41=%zz', 'a', '=a', '&&', 'a=b=c', '??a', 'é=€', 'a=%ff', 'a=😀', '\ud800=1', 'a=\0', "a=*-._~!'()", 'a=%F0%9F%98%80', '+', '%', 'a=%E2%82', '#a'], (x) => { const p = new URLSearchParams(x); return [[...p], p.toString(), p.size, [...p.keys()], [...p.values()]]; });
each('USP bad', [[['a']], [['a', 'b', 'c']], [5]], (x) => new URLSearchParams(x).toString());
t('USP ops', () => { const p = new URLSearchParams('a=1&b=2&a=3'); const r = [p.get('a'), p.getAll('a'), p.get('z'), p.has('a'), p.has('a', '3'), p.has('a', '9')]; p.set('a', '9'); r.push(p.toString()); p.append('c', null); p.append('d', undefined); r.push(p.toString()); p.delete('b'); r.push(p.toString()); p.append('a', '0'); p.sort(); r.push(p.toString()); p.delete('a', '0'); r.push(p.toString()); const seen = []; p.forEach((v, k, o) => seen.push([k, v, o === p])); r.push(seen); p.set('n', 'new'); r.push(p.toString()); return r; });
t('USP lone', () => { const p = new URLSearchParams(); p.append('\ud800', '\udc00'); p.set('x', '\ud800'); return [[...p], p.toString()]; });
t('USP missing', () => new URLSearchParams('a').get());
t('USP sort stable', () => { const p = new URLSearchParams('z=b&a=b&z=a&a=a&\uffff=1&😀=2'); p.sort(); return p.toString(); });
t('USP iter mutate', () => { const p = new URLSearchParams('a=1&b=2&c=3'); const r = []; for (const [k] of p) { r.push(k); p.delete(k); } return r; });
t('USP tag', () => [Object.prototype.toString.call(new URLSearchParams()), Object.prototype.toString.call(new URL('http://h'))]);
for (let i = 0; i < 120; i++) { const x = text(8); if (!/%/.test(x) || !/[^\0-\x7f]/.test(x)) t(`USP fuzz ${JSON.stringify(x)}`, () => [...new URLSearchParams(x)]); t(`USP fuzz out ${JSON.stringify(x)}`, () => new URLSearchParams([[x, x]]).toString()); t(`URL fuzz ${JSON.stringify(x)}`, () => show(new URL(`http://host/${x}`))); t(`URL fuzz rel ${JSON.stringify(x)}`, () => show(new URL(x, 'http://host/a/b?c'))); }
// url legacy
each('url.parse', ['http://u:p@h.com:8080/p/a/t/h?query=string#hash', '/a/b?c=d', '//h/p', 'http://h', 'http://h?x', 'http://h#f', 'a/b', '', '?a=1', '#x', 'http://h/a b', 'HTTP://H.COM/X', 'http://h:80', 'javascript:alert(1)', 'http://h/é', '/a?b?c', '/a#b#c', 'http://a@b@c/', "http://h/'\"<>", 'http://[::1]:3000/x', '/x\\y', 'http://h\\x'], (x) => { const p = url.parse(x); return Object.fromEntries(['protocol', 'slashes', 'auth', 'host', 'port', 'hostname', 'hash', 'search', 'query', 'pathname', 'path', 'href'].map((k) => [k, p[k]])); });
each('url.parse qs', ['/a?b=c&b=d', '/a', '/a?', 'http://h/?x=%20'], (x) => { const p = url.parse(x, true); return [p.query, p.search, p.path]; });
each('url.format', [{ protocol: 'http', host: 'h', pathname: '/p', search: '?a' }, { protocol: 'https:', hostname: 'h', port: 99, pathname: 'p', query: { a: 1 } }, { pathname: '/x', query: { a: [1, 2] } }, { host: 'h' }, { protocol: 'mailto', pathname: 'a@b' }, { hostname: '::1', port: 8 }, { pathname: '/a?b', search: 'c#d', hash: 'e' }, { auth: 'u:p@', host: 'h', protocol: 'http' }, {}, 'http://h/x', { protocol: 'foo', slashes: true, host: 'h' }, { search: 'a', pathname: '' }], (x) => url.format(x));
t('url.format URL', () => [url.format(new URL('http://u:p@h/x?y#z')), url.format(new URL('http://u:p@h/x?y#z'), { auth: false, fragment: false, search: false })]);
each('url.resolve', [['/one/two/three', 'four'], ['http://example.com/', '/one'], ['http://example.com/one', '/two'], ['http://h/a/b', '../c'], ['/a/b', '../../c'], ['/a', 'http://x/y'], ['http://h/a?b', '?c'], ['', '/x'], ['/a/b/', './c'], ['http://h', 'x']], (a) => url.resolve(...a));
t('url file', () => [url.fileURLToPath('file:///a%20b/c'), url.pathToFileURL('/a b#c?d').href, url.fileURLToPath(new URL('file:///x'))]);
t('fileURL bad', () => url.fileURLToPath('http://x/y'));
// util
each('format', [['%s', 'a'], ['%s %d', 'a', 42], ['%d', '0x10'], ['%i', 42.9], ['%f', '1.5x'], ['%j', { a: 1 }], ['%O', { a: { b: 1 } }], ['%%', 1], ['%x', 1], ['a', 'b', 1], [1, 2], ['%s'], ['%s', null, undefined], ['%c', 'css'], ['%s', { a: 1 }], ['%s', [1, 'a']], ['%s', () => 1], ['%s', Symbol('x')], ['%d', 'x'], ['%s', 12345678901234567890n], ['%s', -0], [null], [undefined, 'x'], [{ a: 1 }, 'x'], ['%s', new Error('e')].slice(0, 1), ['%j'], ['%d', {}], ['%i', 'z'], ['100%', 1], ['%s%s', 'a'], []], (a) => util.format(...a));
const circ = { a: 1 }; circ.self = circ;
class K { constructor() { this.x = 1; } }
each('inspect', [[1], ['a'], [null], [undefined], [true], [[]], [{}], [[1, 2, 3]], [{ a: 1, 'b-c': 'x', 3: 4 }], [{ a: { b: { c: { d: 1 } } } }], [[[[[1]]]]], ["it's"], ['say "hi"'], ["it's \"x\""], ['a\nb'], [[undefined, null]], [Array(3)], [[1, , 3]], [{ f() {} }], [{ f: function () {} }], [() => 1], [class A {}], [new K()], [new Map([['a', 1]])], [new Set([1, 'a'])], [new Date(0)], [/x/g], [circ], ['x'.repeat(30)], [Array.from({ length: 120 }, (_, i) => i)], [{ long1: 'aaaaaaaaaaaaaaaaaaaaaaaa', long2: 'bbbbbbbbbbbbbbbbbbbbbbbbbbbb', long3: 'cccccccccccccccccccc' }], [['aaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'cccccccccccccccccccccccc']], [-0], [1n], [Symbol('s')], [new Uint8Array(3)], [Object.create(null)], [Object.assign(Object.create(null), { a: 1 })], [new (class extends K {})()], [[1.5, -2]], [{ a: undefined, b: null }], [new String('x')], [new Number(3)], [{ get a() { return 1; } }], [Object(1n)], [new WeakMap()], [[['a', ['b']], { c: ['d'] }]], [Math], [JSON], [function* g() {}], [async () => {}], [new Map([[{ a: 1 }, new Set([1])]])], [{ a: [{ b: [{ c: 1 }] }] }], [NaN], [Array.from({ length: 10 }, (_, i) => i * 1000)], [Array.from({ length: 27 }, (_, i) => i)], [['a', 'b', 'c', 'd', 'e', 'f', 'g']]], ([x]) => util.inspect(x));
t('promisify', () => typeof util.promisify((cb) => cb()));
each('deepEqual', [[{ a: 1 }, { a: 1 }], [[1], [1]], [{ a: 1 }, { a: '1' }], [NaN, NaN], [new Date(0), new Date(0)], [{ a: 1, b: 2 }, { b: 2, a: 1 }], [new Map([[1, 2]]), new Map([[1, 2]])], [new Set([1]), new Set([2])], [[1, 2], { 0: 1, 1: 2 }], [0, -0], [{ a: { b: { c: { d: { e: 1 } } } } }, { a: { b: { c: { d: { e: 2 } } } } }]], (a) => util.isDeepStrictEqual(...a));
// globals
t('normalize', () => 'é'.normalize('NFD').length);
t('env', () => { process.env.ZZ = 5; const r = [process.env.ZZ, process.env.NOPE, 'ZZ' in process.env]; delete process.env.ZZ; return r; });
module.exports = out;
