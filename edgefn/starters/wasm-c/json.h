// Enough JSON to find a value in an event and to leave every other byte of it as it is. Nothing is copied.
#pragma once

typedef struct { const char *at, *end; } Text;  // the bytes of one value, or none of them: at == 0

static Text nothing(void) { return (Text){0, 0}; }

static const char *past_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
  return at;
}

// Returns what follows the string that begins at `at`, or 0 where it does not end.
static const char *past_string(const char *at, const char *end) {
  for (at++; at < end; at++) {
    if (*at == '"') return at + 1;
    if (*at == '\\') at++;
  }
  return 0;
}

// Returns what follows the value that begins at `at`, or 0 where it does not end. Brackets are counted, not matched:
// the host sends JSON that is right.
static const char *past_value(const char *at, const char *end) {
  int depth = 0;
  while (at && at < end) {
    if (*at == '"') {
      at = past_string(at, end);
    } else if (*at == '{' || *at == '[') {
      depth++, at++;
    } else if (*at == '}' || *at == ']') {
      if (depth == 0) return at;
      depth--, at++;
    } else if (depth == 0 && (*at == ',' || *at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
      return at;
    } else {
      at++;
      continue;  // inside of a number or a word
    }
    if (depth == 0) return at;
  }
  return depth == 0 ? at : 0;
}

static Text value_at(const char *at, const char *end) {
  at = past_space(at, end);
  const char *after = at < end ? past_value(at, end) : 0;
  return after && after > at ? (Text){at, after} : nothing();
}

static int is_name(Text string, const char *name) {
  const char *at = string.at + 1;
  while (at < string.end - 1 && *name && *at == *name) at++, name++;
  return at == string.end - 1 && !*name;
}

// Returns the member of an object, or nothing.
static Text member(Text object, const char *name) {
  if (!object.at || *object.at != '{') return nothing();
  const char *at = past_space(object.at + 1, object.end);
  while (at < object.end && *at == '"') {
    Text key = value_at(at, object.end);
    if (!key.at) break;
    at = past_space(key.end, object.end);
    Text value = at < object.end && *at == ':' ? value_at(at + 1, object.end) : nothing();
    if (!value.at || is_name(key, name)) return value;
    at = past_space(value.end, object.end);
    if (at < object.end && *at == ',') at = past_space(at + 1, object.end);
  }
  return nothing();
}

// Returns the first element of an array, or nothing.
static Text first(Text array) {
  return array.at && *array.at == '[' ? value_at(array.at + 1, array.end) : nothing();
}

static int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  digit |= 0x20;
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

// Returns the character of a string that begins at *at, and moves *at behind it. Bytes beyond ASCII come one by one.
static int next_character(const char **at, const char *end) {
  char byte = *(*at)++;
  if (byte != '\\' || *at >= end) return (unsigned char)byte;
  byte = *(*at)++;
  if (byte != 'u' || end - *at < 4) return byte == '/' || byte == '\\' || byte == '"' ? byte : ' ';
  int code = 0;
  for (int digit = 0; digit < 4; digit++) code = code * 16 + hex(*(*at)++);
  return code;
}
