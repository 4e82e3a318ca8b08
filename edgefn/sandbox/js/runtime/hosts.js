// Host names as URL reads them (WHATWG URL section 3.5): addresses in one form, other alphabets in Punycode.

const NUMBER = /^(?:0x[0-9a-f]*|\d+)$/i;

function numberOf(part) {
  if (/^0x[0-9a-f]*$/i.test(part)) return parseInt(part.slice(2) || '0', 16);
  if (/^0\d/.test(part)) return /^[0-7]+$/.test(part) ? parseInt(part, 8) : NaN;
  return /^\d+$/.test(part) ? Number(part) : NaN;
}

function ipv4(parts) {
  const numbers = parts.map(numberOf);
  const last = numbers.pop();
  if (numbers.some((number) => !(number <= 255)) || !(last < 256 ** (4 - numbers.length)) || numbers.length > 3) return null;
  const value = numbers.reduce((sum, number, at) => sum + number * 256 ** (3 - at), last);
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

const GROUP = /^[0-9a-f]{1,4}$/i;

function groupsOf(text) {
  if (text === '') return [];
  return text.split(':').flatMap((part, at, all) => {
    if (at < all.length - 1 || !part.includes('.')) return [GROUP.test(part) ? parseInt(part, 16) : NaN];
    const bytes = /^\d{1,3}(?:\.\d{1,3}){3}$/.test(part) && !/(?:^|\.)0\d/.test(part) ? part.split('.').map(Number) : [NaN];
    return bytes.every((byte) => byte <= 255) ? [bytes[0] * 256 + bytes[1], bytes[2] * 256 + bytes[3]] : [NaN];
  });
}

// The address in its shortest form (RFC 5952), or null.
function ipv6(text) {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [left, right] = [groupsOf(halves[0]), halves.length === 2 ? groupsOf(halves[1]) : []];
  const absent = 8 - left.length - right.length;
  if (halves.length === 2 ? absent < 1 : absent !== 0) return null;
  const groups = [...left, ...Array(absent).fill(0), ...right];
  if (groups.some(Number.isNaN)) return null;
  const run = /(?:^|:)0(?::0)+(?=:|$)/g;
  const whole = groups.map((group) => group.toString(16)).join(':');
  const [longest] = (whole.match(run) || []).sort((one, other) => other.length - one.length);
  return longest === undefined ? whole : whole.replace(longest, ':').replace(/^:(?!:)/, '::').replace(/([^:]):$/, '$1::');
}

// RFC 3492.
function adapted(delta, count, isFirst) {
  let rest = isFirst ? Math.floor(delta / 700) : delta >> 1;
  rest += Math.floor(rest / count);
  let step = 0;
  for (; rest > 455; step += 36) rest = Math.floor(rest / 35);
  return step + Math.floor((36 * rest) / (rest + 38));
}

const digit = (value) => String.fromCharCode(value + (value < 26 ? 97 : 22));

function punycode(label) {
  const points = Array.from(label, (character) => character.codePointAt(0));
  let out = points.filter((point) => point < 128).map((point) => String.fromCharCode(point)).join('');
  const plainCount = out.length;
  let [handled, delta, bias, least] = [plainCount, 0, 72, 128];
  if (plainCount > 0) out += '-';
  while (handled < points.length) {
    const next = Math.min(...points.filter((point) => point >= least));
    delta += (next - least) * (handled + 1);
    least = next;
    for (const point of points) {
      if (point < least) delta += 1;
      if (point !== least) continue;
      let rest = delta;
      for (let at = 36; ; at += 36) {
        const limit = at <= bias ? 1 : Math.min(at - bias, 26);
        if (rest < limit) break;
        out += digit(limit + ((rest - limit) % (36 - limit)));
        rest = Math.floor((rest - limit) / (36 - limit));
      }
      out += digit(rest);
      bias = adapted(delta, handled + 1, handled === plainCount);
      delta = 0;
      handled += 1;
    }
    delta += 1;
    least += 1;
  }
  return `xn--${out}`;
}

// The usual part of UTS 46: compatible characters are one, case does not count.
function asciiDomain(name) {
  const mapped = name.normalize('NFKC').toLowerCase().normalize('NFC').replace(/[\u3002\uff0e\uff61]/g, '.').replace(/[\u00ad\u200b\u2060\ufe0f]/g, '');
  return mapped.split('.').map((label) => (/[^\0-\x7f]/.test(label) ? punycode(label) : label)).join('.');
}

function hostOf(text, protocol) {
  if (text.startsWith('[')) {
    const address = text.endsWith(']') ? ipv6(text.slice(1, -1)) : null;
    return address === null ? null : `[${address}]`;
  }
  if (!Object.hasOwn(SPECIAL, protocol)) return /[\0-\x20#/<>?@[\\\]^|]/.test(text) ? null : percentEncoded(text, /[\0-\x1f\x7f-\u{10ffff}]/gu);
  const host = asciiDomain(percentDecoded(text));
  if (host === '' || /[\0-\x20#%/:<>?@[\\\]^`{|}\x7f]/.test(host)) return null;
  const parts = host.replace(/\.$/, '').split('.');
  return NUMBER.test(parts[parts.length - 1]) ? ipv4(parts) : host;
}
