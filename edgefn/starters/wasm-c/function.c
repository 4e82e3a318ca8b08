// viewer-request: /old is sent to /new, and a folder is its index.html. No library, no libc; see docs/wasm-abi.md.

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("edgefn"), import_name(name)))

IMPORT("log") void edgefn_log(const char *text, unsigned size);

typedef struct { const char *at, *end; } Text;

extern char __heap_base;
static char *top = &__heap_base;

// Where the host writes the event, and we the result. An instance lives for one event, so nothing is ever freed.
EXPORT("alloc") char *alloc(unsigned size) {
  char *given = top;
  unsigned long needed = ((unsigned long)given + size + 65535) / 65536, pages = __builtin_wasm_memory_size(0);
  if (size > 0x7fff0000) return 0;
  if (needed > pages && __builtin_wasm_memory_grow(0, needed - pages) == (unsigned long)-1) return 0;
  top = given + size;
  return given;
}

static unsigned length(const char *text) {
  unsigned size = 0;
  while (text[size]) size++;
  return size;
}

static int begins(Text text, const char *with) {
  const char *at = text.at;
  while (*with && at < text.end && *at == *with) at++, with++;
  return !*with;
}

// Returns what follows the JSON value at `at`. The host sends JSON that is right.
static const char *past_value(const char *at, const char *end) {
  int depth = 0, in_string = 0;
  for (; at < end; at++) {
    if (in_string) {
      if (*at == '\\') at++;
      else if (*at == '"') in_string = 0;
    } else if (*at == '"') {
      in_string = 1;
    } else if (*at == '{' || *at == '[') {
      depth++;
    } else if (*at == '}' || *at == ']') {
      depth--;
    }
    if (depth == 0 && !in_string) return at + 1;
  }
  return end;
}

// Returns the value behind the first `"name":` in an object that is not inside of a string.
static Text member(Text object, const char *name) {
  for (const char *at = object.at; at < object.end; at++) {
    if (*at != '"') continue;
    Text key = {at + 1, past_value(at, object.end)};
    at = key.end - 1;
    while (key.end < object.end && (*key.end == ' ' || *key.end == '\n')) key.end++;
    if (key.end >= object.end || *key.end != ':' || !begins(key, name) || key.at[length(name)] != '"') continue;
    const char *value = key.end + 1;
    while (value < object.end && (*value == ' ' || *value == '\n')) value++;
    return (Text){value, past_value(value, object.end)};
  }
  return (Text){object.end, object.end};
}

static char *copy(char *to, const char *from, const char *end) {
  while (from < end) *to++ = *from++;
  return to;
}

static unsigned long long result(const char *at, unsigned size) {
  return (unsigned long long)(unsigned long)at << 32 | size;
}

static const char MOVED[] =
    "{\"status\":\"301\",\"statusDescription\":\"Moved Permanently\","
    "\"headers\":{\"location\":[{\"key\":\"Location\",\"value\":\"/new\"}]}}";
static const char INDEX[] = "index.html";

EXPORT("handle") unsigned long long handle(const char *event, unsigned size) {
  Text request = member((Text){event, event + size}, "request");
  Text uri = member(request, "uri");
  if (begins(uri, "\"/old\"")) {
    edgefn_log("moved: /old", 11);
    return result(MOVED, sizeof MOVED - 1);
  }
  if (uri.end - uri.at < 2 || uri.end[-2] != '/') return result(request.at, request.end - request.at);
  unsigned needed = request.end - request.at + sizeof INDEX;
  char *answer = alloc(needed);
  if (!answer) __builtin_trap();
  char *to = copy(answer, request.at, uri.end - 1);
  to = copy(to, INDEX, INDEX + sizeof INDEX - 1);
  to = copy(to, uri.end - 1, request.end);
  return result(answer, to - answer);
}
