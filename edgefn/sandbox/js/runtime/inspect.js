// Values as Node.js prints them (util.inspect, console.log): the same layout, for what functions print.

const QUOTED = /^[A-Za-z_$][\w$]*$/;
const DEEPEST = 2;
const MOST_ITEMS = 100;
const WIDTH = 80;
const ESCAPES = { '\b': '\\b', '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r', '\\': '\\\\' };

function escaped(character) {
  return ESCAPES[character] || `\\x${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

// In the quotes that the text itself has not, where there are any.
function quoted(text) {
  const quote = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes('`') && !text.includes('${') ? '`' : "'";
  const inside = text.replace(/[\0-\x1f\x7f-\x9f\\]/g, escaped).replace(/[\ud800-\udfff]/gu, (half) => `\\u${half.charCodeAt(0).toString(16).toUpperCase()}`);
  return quote + (quote === "'" ? inside.replace(/'/g, "\\'") : inside) + quote;
}

class Printer {
  above = [];

  circular = [];

  indentation = 0;

  reached = 0; // the depth of what was printed last

  value(value) {
    switch (typeof value) {
      case 'string': return quoted(value);
      case 'bigint': return `${value}n`;
      case 'symbol': return String(value);
      case 'number': return Object.is(value, -0) ? '-0' : String(value);
      case 'function': return this.object(value);
      case 'object': return value === null ? 'null' : this.object(value);
      default: return String(value);
    }
  }

  object(value) {
    if (this.above.includes(value)) {
      if (!this.circular.includes(value)) this.circular.push(value);
      return `[Circular *${this.circular.indexOf(value) + 1}]`;
    }
    const [base, open, close, list, keysToo] = this.form(value);
    if (this.above.length > DEEPEST && base === undefined) return `[${open.replace(/ ?[[{(].*$/s, '') || (Array.isArray(value) ? 'Array' : 'Object')}]`;
    this.reached = this.above.length;
    const depth = this.above.length;
    this.above.push(value);
    const items = [...(list ? list() : []), ...keysToo.map((key) => this.property(value, key))];
    this.above.pop();
    const mark = this.circular.includes(value) ? `<ref *${this.circular.indexOf(value) + 1}> ` : '';
    if (items.length === 0) return mark + (base === undefined ? open + close : base);
    return mark + this.laid(items, base || '', open, close, Array.isArray(value) || ArrayBuffer.isView(value) ? value : undefined, depth);
  }

  // [text of a value that is more than its properties, brackets, what makes its items, its keys]
  form(value) {
    const name = nameOf(value);
    const own = keysOf(value);
    const named = own.filter((key) => typeof key === 'symbol' || !/^\d+$/.test(key));
    if (Array.isArray(value)) return [undefined, name === 'Array' ? '[' : `${name}(${value.length}) [`, ']', () => this.items(value), named];
    if (value instanceof Buffer) return [shownBuffer(value), '{', '}', null, named];
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return [undefined, `${name}(${value.length}) [`, ']', () => this.items(value), named];
    if (value instanceof Error) return [shownError(value), '{', '}', null, own.filter((key) => key !== 'stack' && key !== 'message' && key !== 'name')];
    if (value instanceof Date) return [Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString(), '{', '}', null, own];
    if (value instanceof RegExp) return [String(value), '{', '}', null, own];
    if (typeof value === 'function') return [shownFunction(value), '{', '}', null, own];
    if (value instanceof Map) return [undefined, `${name}(${value.size}) {`, '}', () => this.pairs(value), own];
    if (value instanceof Set) return [undefined, `${name}(${value.size}) {`, '}', () => this.within(() => [...value].map((item) => this.value(item))), own];
    if (value instanceof Promise) return [undefined, 'Promise {', '}', () => ['?'], own];
    if (value instanceof WeakMap || value instanceof WeakSet) return [undefined, `${name} {`, '}', () => ['<items unknown>'], own];
    for (const Boxed of [String, Number, Boolean, BigInt, Symbol]) {
      if (value instanceof Boxed) return [`[${Boxed.name}: ${this.value(Boxed.prototype.valueOf.call(value))}]`, '{', '}', null, Boxed === String ? named : own];
    }
    return [undefined, name === 'Object' ? '{' : `${name} {`, '}', null, own];
  }

  within(make) {
    this.indentation += 2;
    const made = make();
    this.indentation -= 2;
    return made;
  }

  items(value) {
    return this.within(() => {
      const shownItems = [];
      for (let at = 0; at < value.length && shownItems.length < MOST_ITEMS; at += 1) {
        let holes = 0;
        while (at + holes < value.length && !(at + holes in value)) holes += 1;
        shownItems.push(holes ? `<${holes} empty item${holes > 1 ? 's' : ''}>` : this.value(value[at]));
        if (holes) at += holes - 1;
      }
      const more = value.length - MOST_ITEMS;
      return more > 0 ? [...shownItems, `... ${more} more item${more > 1 ? 's' : ''}`] : shownItems;
    });
  }

  pairs(map) {
    return this.within(() => [...map].map(([key, item]) => `${this.value(key)} => ${this.value(item)}`));
  }

  property(value, key) {
    const { get, set, value: item } = Object.getOwnPropertyDescriptor(value, key) || {};
    const text = get ? (set ? '[Getter/Setter]' : '[Getter]') : set ? '[Setter]' : this.within(() => this.value(item));
    const name = typeof key === 'symbol' ? `[${String(key)}]` : QUOTED.test(key) ? key : quoted(key);
    return `${name}: ${text}`;
  }

  laid(given, base, open, close, list, depth) {
    const items = list !== undefined && given.length > 6 ? this.grouped(given, list) : given;
    const start = base ? `${base} ${open}` : open;
    if (this.reached - depth < 3 && items.length === given.length) {
      const size = items.length + this.indentation + open.length + base.length + 10 + items.length;
      const line = items.join(', ');
      if (size + items.reduce((sum, item) => sum + item.length, 0) <= WIDTH && !line.includes('\n')) return `${start} ${line} ${close}`;
    }
    const newline = `\n${' '.repeat(this.indentation)}`;
    return `${start}${newline}  ${items.join(`,${newline}  `)}${newline}${close}`;
  }

  // Many short items stand in columns.
  grouped(items, list) {
    const isCut = list.length > MOST_ITEMS && items.length > MOST_ITEMS;
    const count = items.length - (isCut ? 1 : 0);
    const sizes = items.slice(0, count).map((item) => item.length);
    const widest = Math.max(...sizes) + 2;
    const total = sizes.reduce((sum, size) => sum + size + 2, 0);
    if (widest * 3 + this.indentation >= WIDTH || !(total / widest > 5 || widest <= 8)) return items;
    const biased = Math.max(widest - 3 - Math.sqrt(widest - total / items.length), 1);
    const columns = Math.min(Math.round(Math.sqrt(2.5 * biased * count) / biased), Math.floor((WIDTH - this.indentation) / widest), 12);
    if (columns <= 1) return items;
    const widths = Array.from({ length: columns }, (_, at) => Math.max(...sizes.filter((__, index) => index % columns === at)) + 2);
    const isNumeric = Array.from(list).every((item) => typeof item === 'number' || typeof item === 'bigint');
    const rows = [];
    for (let at = 0; at < count; at += columns) {
      const row = items.slice(at, Math.min(at + columns, count));
      rows.push(row.map((item, column) => {
        const isLast = column === row.length - 1;
        if (isNumeric) return isLast ? item.padStart(widths[column] - 2) : `${item}, `.padStart(widths[column]);
        return isLast ? item : `${item}, `.padEnd(widths[column]);
      }).join(''));
    }
    return isCut ? [...rows, items[count]] : rows;
  }
}

const keysOf = (value) => [
  ...keys(value), ...Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key)),
];

function nameOf(value) {
  const tag = value[Symbol.toStringTag];
  if (Object.getPrototypeOf(value) === null) return '[Object: null prototype]';
  let plainName = '';
  for (let at = value; at !== null && !plainName; at = Object.getPrototypeOf(at)) {
    const maker = Object.getOwnPropertyDescriptor(at, 'constructor');
    if (maker && typeof maker.value === 'function') plainName = maker.value.name;
  }
  plainName ||= 'Object';
  return typeof tag === 'string' && tag !== '' && tag !== plainName ? `${plainName} [${tag}]` : plainName;
}

function shownBuffer(buffer) {
  const more = buffer.length - 50;
  const told = more > 0 ? ` ... ${more} more byte${more > 1 ? 's' : ''}` : '';
  return `<Buffer${buffer.toString('hex', 0, 50).replace(/../g, ' $&')}${told || (buffer.length ? '' : ' ')}>`;
}

const shownError = (error) => `${error.name}: ${error.message}\n${framesOf(error).join('\n')}`.trimEnd();

function shownFunction(value) {
  const source = Function.prototype.toString.call(value);
  if (source.startsWith('class')) {
    const parent = Object.getPrototypeOf(value).name;
    return `[class ${value.name || '(anonymous)'}${parent ? ` extends ${parent}` : ''}]`;
  }
  const kind = value[Symbol.toStringTag] || 'Function';
  return value.name ? `[${kind}: ${value.name}]` : `[${kind} (anonymous)]`;
}

const shown = (value) => new Printer().value(value);

const plain = (value) => (typeof value === 'string' ? value : shown(value));
