// viewer-request or origin-request: /docs and /docs/ are /docs/index.html; see docs/wasm-abi.md.

import { first, isString, member, missing, valueAt } from "./json";

const FAILED: u64 = 0x80000000;

// An instance lives for one event, so nothing is ever freed.
export function alloc(size: usize): usize {
  return heap.alloc(max(size, 1));
}

export function handle(event: usize, size: usize): u64 {
  const document = valueAt(event, event + size);
  const request = member(member(first(member(document, "Records")), "cf"), "request");
  const uri = member(request, "uri");
  if (!isString(uri)) return failed("the event has no request with a uri");
  const more = String.UTF8.encode(missing(uri));
  const before = uri.end - 1 - request.start;
  const length = request.end - request.start + more.byteLength;
  const answer = alloc(length);
  memory.copy(answer, request.start, before);
  memory.copy(answer + before, changetype<usize>(more), more.byteLength);
  memory.copy(answer + before + more.byteLength, uri.end - 1, request.end - (uri.end - 1));
  return result(answer, length);
}

function result(at: usize, size: u64): u64 {
  return ((at as u64) << 32) | size;
}

function failed(why: string): u64 {
  const text = String.UTF8.encode(why);
  return result(changetype<usize>(text), (text.byteLength as u64) | FAILED);
}
