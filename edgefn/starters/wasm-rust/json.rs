//! Enough JSON to find a value in an event and to leave every other byte of it as it is. Values are slices of the event.

/// Returns the value that begins at `at`, or behind the space there.
pub fn value(text: &[u8], at: usize) -> Option<&[u8]> {
    let at = past_space(text, at);
    let after = past_value(text, at)?;
    (after > at).then(|| &text[at..after])
}

/// Returns the member of an object.
pub fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    if object.first() != Some(&b'{') {
        return None;
    }
    let mut at = past_space(object, 1);
    while object.get(at) == Some(&b'"') {
        let key = value(object, at)?;
        at = past_space(object, at + key.len());
        if object.get(at) != Some(&b':') {
            return None;
        }
        at = past_space(object, at + 1);
        let found = value(object, at)?;
        if &key[1..key.len() - 1] == name.as_bytes() {
            return Some(found);
        }
        at = past_space(object, at + found.len());
        if object.get(at) == Some(&b',') {
            at = past_space(object, at + 1);
        }
    }
    None
}

/// Returns the first element of an array.
pub fn first(array: &[u8]) -> Option<&[u8]> {
    if array.first() == Some(&b'[') { value(array, 1) } else { None }
}

/// Returns the characters of a string's inside: its escapes taken off, bytes beyond ASCII one by one.
pub fn characters(inside: &[u8]) -> Vec<u16> {
    let mut found = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let (character, used) = match (byte, after.first()) {
            (b'\\', Some(b'u')) if after.len() >= 5 => (hexadecimal(&after[1..5]), 5),
            (b'\\', Some(&kind)) => (if b"/\\\"".contains(&kind) { kind.into() } else { b' '.into() }, 1),
            _ => (byte.into(), 0),
        };
        found.push(character);
        rest = &rest[used..];
    }
    found
}

fn hexadecimal(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |code, digit| code << 4 | (*digit as char).to_digit(16).unwrap_or(0) as u16)
}

fn past_space(text: &[u8], mut at: usize) -> usize {
    while at < text.len() && text[at].is_ascii_whitespace() {
        at += 1;
    }
    at
}

fn past_string(text: &[u8], mut at: usize) -> Option<usize> {
    at += 1;
    while at < text.len() {
        match text[at] {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

fn past_value(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = past_string(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            b',' if depth == 0 => return Some(at),
            byte if depth == 0 && byte.is_ascii_whitespace() => return Some(at),
            _ => {
                at += 1;
                continue; // inside of a number or a word
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
    (depth == 0).then(|| at)
}
