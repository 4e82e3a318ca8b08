//! viewer-request or origin-request: /docs and /docs/ are /docs/index.html. The standard library only; see
//! docs/wasm-abi.md.

mod json;

use json::{first, member, value};

const FAILED: u64 = 0x8000_0000;

/// Returns room for `size` bytes. An instance lives for one event, so nothing is ever freed.
#[no_mangle]
pub extern "C" fn alloc(size: usize) -> *mut u8 {
    let mut room = Vec::with_capacity(size.max(1));
    let at = room.as_mut_ptr();
    std::mem::forget(room);
    at
}

/// # Safety
/// `event` must be what `alloc(size)` returned, filled by the host.
#[no_mangle]
pub unsafe extern "C" fn handle(event: *const u8, size: usize) -> u64 {
    match changed(std::slice::from_raw_parts(event, size)) {
        Some(request) => told(request, 0),
        None => told(b"the event has no request with a uri".to_vec(), FAILED),
    }
}

fn told(text: Vec<u8>, flag: u64) -> u64 {
    let packed = (text.as_ptr() as u64) << 32 | flag | text.len() as u64;
    std::mem::forget(text);
    packed
}

/// Returns the request of an event, its uri completed.
fn changed(event: &[u8]) -> Option<Vec<u8>> {
    let records = member(value(event, 0)?, "Records")?;
    let request = member(member(first(records)?, "cf")?, "request")?;
    let uri = member(request, "uri")?;
    if uri[0] != b'"' {
        return None;
    }
    let end = uri.as_ptr() as usize + uri.len() - 1 - request.as_ptr() as usize;
    let more = missing(&json::characters(&uri[1..uri.len() - 1]));
    Some([&request[..end], more.as_bytes(), &request[end..]].concat())
}

/// Returns what makes a path the path of a file.
fn missing(path: &[u16]) -> &'static str {
    const SLASH: u16 = b'/' as u16;
    if path.last() == Some(&SLASH) {
        return "index.html";
    }
    let name = path.rsplit(|character| *character == SLASH).next().unwrap_or(&[]);
    let dot = name.iter().position(|character| *character == b'.' as u16);
    match dot {
        Some(at) if at + 1 < name.len() => "",
        _ => "/index.html",
    }
}
