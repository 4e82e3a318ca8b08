// viewer-request or origin-request: /docs and /docs/ are /docs/index.html. No library, no libc; see docs/wasm-abi.md.

#include "json.h"

#define EXPORT(name) __attribute__((export_name(name)))

extern char __heap_base;
static char *top = &__heap_base;

// An instance lives for one event, so nothing is ever freed.
EXPORT("alloc") char *alloc(unsigned size) {
  char *given = (char *)(((unsigned long)top + 7) & ~7ul);
  unsigned long pages = __builtin_wasm_memory_size(0), needed = ((unsigned long)given + size + 65535) / 65536;
  if (size > 0x7fff0000 || (needed > pages && __builtin_wasm_memory_grow(0, needed - pages) == (unsigned long)-1)) return 0;
  top = given + size;
  return given;
}

static unsigned long long result(const char *at, unsigned size) {
  return (unsigned long long)(unsigned long)at << 32 | size;
}

static unsigned long long failed(const char *why) {
  unsigned size = 0;
  while (why[size]) size++;
  return result(why, size | 0x80000000u);
}

static char *append(char *to, const char *from, const char *end) {
  while (from < end) *to++ = *from++;
  return to;
}

// Returns what makes a path the path of a file: nothing, "index.html" or "/index.html".
static const char *missing(Text uri) {
  int last = 0, dot = 0, extension = 0;
  for (const char *at = uri.at + 1, *end = uri.end - 1; at < end;) {
    last = next_character(&at, end);
    extension = last != '/' && (extension || dot);
    dot = last == '.' || (dot && last != '/');
  }
  return last == '/' ? "index.html" : extension ? "" : "/index.html";
}

EXPORT("handle") unsigned long long handle(const char *event, unsigned size) {
  Text document = value_at(event, event + size);
  Text request = member(member(first(member(document, "Records")), "cf"), "request");
  Text uri = member(request, "uri");
  if (!uri.at || *uri.at != '"') return failed("the event has no request with a uri");
  const char *more = missing(uri), *more_end = more;
  while (*more_end) more_end++;
  unsigned length = (request.end - request.at) + (more_end - more);
  char *answer = alloc(length);
  if (!answer) return failed("out of memory");
  char *to = append(answer, request.at, uri.end - 1);
  to = append(to, more, more_end);
  append(to, uri.end - 1, request.end);
  return result(answer, length);
}
