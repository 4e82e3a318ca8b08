// URLSearchParams (WHATWG), and percent-encoding for it and for URL.

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
function percentDecoded(text) {
  if (!text.includes('%')) return text.toWellFormed();
  const source = utf8(text);
  const bytes = [];
  for (let at = 0; at < source.length; at += 1) {
    const pair = source[at] === 0x25 ? String.fromCharCode(source[at + 1], source[at + 2]) : '';
    bytes.push(HEX_PAIR.test(pair) ? parseInt(pair, 16) : source[at]);
    if (HEX_PAIR.test(pair)) at += 2;
  }
  return natives.text(Uint8Array.from(bytes), 'utf8');
}

const formDecoded = (text) => percentDecoded(text.replace(/\+/g, ' '));
const scalar = (value) => String(value).toWellFormed();

function needs(names, given) {
  if (given.length < names.length) {
    throw refused(TypeError, 'ERR_MISSING_ARGS', `The ${names.map((name) => `"${name}"`).join(' and ')} argument${names.length > 1 ? 's' : ''} must be specified`);
  }
}

class URLSearchParams {
  #pairs = [];

  #changed = () => {};

  constructor(init = '', changed = undefined) {
    if (changed !== undefined) this.#changed = changed;
    if (init !== null && typeof init === 'object') {
      const pairs = typeof init[Symbol.iterator] === 'function' ? [...init] : entries(init);
      this.#pairs = pairs.map((pair) => {
        const [name, value, more] = pair === null || typeof pair !== 'object' ? [] : [...pair];
        if (value === undefined || more !== undefined) {
          throw refused(TypeError, 'ERR_INVALID_TUPLE', 'Each query pair must be an iterable [name, value] tuple');
        }
        return [scalar(name), scalar(value)];
      });
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

  get [Symbol.toStringTag]() { return 'URLSearchParams'; }

  append(...given) {
    needs(['name', 'value'], given);
    this.#pairs.push(given.slice(0, 2).map(scalar));
    this.#changed(this);
  }

  delete(name, value) {
    this.#pairs = this.#pairs.filter(([key, item]) => key !== String(name) || (value !== undefined && item !== String(value)));
    this.#changed(this);
  }

  get(name) {
    needs(['name'], arguments);
    const pair = this.#pairs.find(([key]) => key === String(name));
    return pair === undefined ? null : pair[1];
  }

  getAll(name) { return this.#pairs.filter(([key]) => key === String(name)).map(([, value]) => value); }

  has(name, value) { return this.#pairs.some(([key, item]) => key === String(name) && (value === undefined || item === String(value))); }

  set(name, value) {
    const at = this.#pairs.findIndex(([key]) => key === String(name));
    if (at < 0) {
      this.#pairs.push([scalar(name), scalar(value)]);
    } else {
      this.#pairs[at][1] = scalar(value);
      this.#pairs = this.#pairs.filter(([key], index) => index <= at || key !== String(name));
    }
    this.#changed(this);
  }

  sort() {
    this.#pairs.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
    this.#changed(this);
  }

  forEach(visit, self) { for (const [name, value] of this.#pairs) visit.call(self, value, name, this); }

  // What is changed meanwhile is seen.
  * entries() { for (let at = 0; at < this.#pairs.length; at += 1) yield [...this.#pairs[at]]; }

  * keys() { for (const [name] of this.entries()) yield name; }

  * values() { for (const [, value] of this.entries()) yield value; }

  [Symbol.iterator]() { return this.entries(); }

  toString() { return this.#pairs.map(([name, value]) => `${formEncoded(name)}=${formEncoded(value)}`).join('&'); }
}
