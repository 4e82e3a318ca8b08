// Enough JSON to find a value in an event and to leave every other byte of it as it is. Nothing is copied.

// The bytes of one value; none of them where `start` is 0.
export class Text {
  constructor(public start: usize, public end: usize) {}
}

const NOTHING = new Text(0, 0);

export function isString(value: Text): bool {
  return value.start != 0 && byte(value.start) == 0x22;
}

// Returns the value that begins at `at`, or nothing where it does not end.
export function valueAt(at: usize, end: usize): Text {
  at = pastSpace(at, end);
  const after = at < end ? pastValue(at, end) : 0;
  return after > at ? new Text(at, after) : NOTHING;
}

// Returns the member of an object, or nothing.
export function member(object: Text, name: string): Text {
  if (object.start == 0 || byte(object.start) != 0x7b) return NOTHING;
  const end = object.end;
  let at = pastSpace(object.start + 1, end);
  while (at < end && byte(at) == 0x22) {
    const key = valueAt(at, end);
    if (key.start == 0) break;
    at = pastSpace(key.end, end);
    const value = at < end && byte(at) == 0x3a ? valueAt(at + 1, end) : NOTHING;
    if (value.start == 0 || isName(key, name)) return value;
    at = pastSpace(value.end, end);
    if (at < end && byte(at) == 0x2c) at = pastSpace(at + 1, end);
  }
  return NOTHING;
}

// Returns the first element of an array, or nothing.
export function first(array: Text): Text {
  return array.start != 0 && byte(array.start) == 0x5b ? valueAt(array.start + 1, array.end) : NOTHING;
}

// Returns what makes a path the path of a file: nothing, "index.html" or "/index.html".
export function missing(uri: Text): string {
  const end = uri.end - 1;
  let last: i32 = 0;
  let dot = false;
  let extension = false;
  for (let at = uri.start + 1; at < end; ) {
    last = byte(at++);
    if (last == 0x5c && at < end) {
      last = escaped(at, end);
      at += byte(at) == 0x75 ? 5 : 1;
    }
    extension = last != 0x2f && (extension || dot);
    dot = last == 0x2e || (dot && last != 0x2f);
  }
  return last == 0x2f ? "index.html" : extension ? "" : "/index.html";
}

// Returns the character that stands behind a backslash.
function escaped(at: usize, end: usize): i32 {
  const kind = byte(at);
  if (kind != 0x75) return kind == 0x2f || kind == 0x5c || kind == 0x22 ? kind : 0x20;
  let code = 0;
  for (let digit: usize = 1; digit <= 4 && at + digit < end; digit++) code = code * 16 + hex(byte(at + digit));
  return code;
}

function hex(digit: i32): i32 {
  return digit <= 0x39 ? digit - 0x30 : (digit | 0x20) - 0x57;
}

@inline
function byte(at: usize): i32 {
  return load<u8>(at);
}

function pastSpace(at: usize, end: usize): usize {
  while (at < end && isSpace(byte(at))) at++;
  return at;
}

function isSpace(character: i32): bool {
  return character == 0x20 || character == 0x0a || character == 0x0d || character == 0x09;
}

function pastString(at: usize, end: usize): usize {
  for (at++; at < end; at++) {
    const character = byte(at);
    if (character == 0x22) return at + 1;
    if (character == 0x5c) at++;
  }
  return 0;
}

function pastValue(at: usize, end: usize): usize {
  let depth = 0;
  while (at != 0 && at < end) {
    const character = byte(at);
    if (character == 0x22) {
      at = pastString(at, end);
    } else if (character == 0x7b || character == 0x5b) {
      depth++;
      at++;
    } else if (character == 0x7d || character == 0x5d) {
      if (depth == 0) return at;
      depth--;
      at++;
    } else if (depth == 0 && (character == 0x2c || isSpace(character))) {
      return at;
    } else {
      at++;
      continue; // inside of a number or a word
    }
    if (depth == 0) return at;
  }
  return depth == 0 ? at : 0;
}

function isName(key: Text, name: string): bool {
  if (key.end - key.start - 2 != name.length) return false;
  for (let index = 0; index < name.length; index++) {
    if (byte(key.start + 1 + index) != name.charCodeAt(index)) return false;
  }
  return true;
}
