// What the prelude (runtime/*.js) gets to work with: log, bytes and text, hashes, randomness, evaluation.
#include "natives.h"

#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "json.h"

typedef struct {
    const uint8_t *data;
    size_t size;
} Bytes;

static char *log_text;
static size_t log_room;

static int bytes_of(JSContext *ctx, JSValueConst value, Bytes *bytes) {
    bytes->data = JS_GetUint8Array(ctx, &bytes->size, value);
    return bytes->data != NULL || !JS_HasException(ctx);
}

static int is(const char *encoding, const char *name) { return encoding != NULL && strcmp(encoding, name) == 0; }

// log(text)
static JSValue js_log(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t size;
    const char *text = JS_ToCStringLen(ctx, &size, argv[0]);
    if (text == NULL) return JS_EXCEPTION;
    size_t left = shared.log_limit > shared.log_size ? shared.log_limit - shared.log_size : 0;
    size_t taken = size + 1 < left ? size + 1 : left;
    if (shared.log_size + taken > log_room) {
        size_t room = log_room ? log_room : 1024;
        while (room < shared.log_size + taken) room *= 2;
        char *larger = realloc(log_text, room);
        if (larger == NULL) taken = 0;
        else log_text = larger, log_room = room, shared.log_at = (uint32_t)(uintptr_t)larger;
    }
    if (taken) {
        memcpy(log_text + shared.log_size, text, taken <= size ? taken : size);
        if (taken > size) log_text[shared.log_size + size] = '\n';
        shared.log_size += (uint32_t)taken;
    }
    JS_FreeCString(ctx, text);
    return JS_UNDEFINED;
}

// bytes(text, encoding) -> Uint8Array
static JSValue js_bytes(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t size;
    const char *text = JS_ToCStringLen(ctx, &size, argv[0]);
    const char *encoding = JS_ToCString(ctx, argv[1]);
    JSValue made = JS_EXCEPTION;
    if (text != NULL && encoding != NULL) {
        uint8_t *out = is(encoding, "utf8") ? (uint8_t *)text : js_malloc(ctx, size + 1);
        if (out != NULL && is(encoding, "base64")) size = base64_decode(text, size, out);
        if (out != NULL && is(encoding, "hex")) size = hex_decode(text, size, out);
        if (out != NULL) made = JS_NewUint8ArrayCopy(ctx, out, size);
        if (out != (uint8_t *)text) js_free(ctx, out);
    }
    JS_FreeCString(ctx, encoding);
    JS_FreeCString(ctx, text);
    return made;
}

static size_t encoded(const char *encoding, const Bytes *from, char *out) {
    if (is(encoding, "base64")) return base64_encode(from->data, from->size, 0, out);
    if (is(encoding, "base64url")) return base64_encode(from->data, from->size, 1, out);
    if (is(encoding, "hex")) return hex_encode(from->data, from->size, out);
    return utf8_repair(from->data, from->size, (uint8_t *)out);
}

// text(bytes, encoding) -> string
static JSValue js_text(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    Bytes from;
    if (!bytes_of(ctx, argv[0], &from)) return JS_EXCEPTION;
    const char *encoding = JS_ToCString(ctx, argv[1]);
    JSValue made = JS_EXCEPTION;
    if (is(encoding, "utf8") && utf8_flaw(from.data, from.size) == from.size) {
        made = JS_NewStringLen(ctx, (const char *)from.data, from.size);
    } else if (encoding != NULL) {
        char *out = js_malloc(ctx, 3 * from.size + 4);
        if (out != NULL) made = JS_NewStringLen(ctx, out, encoded(encoding, &from, out));
        js_free(ctx, out);
    }
    JS_FreeCString(ctx, encoding);
    return made;
}

// isUtf8(bytes) -> boolean
static JSValue js_is_utf8(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    Bytes bytes;
    if (!bytes_of(ctx, argv[0], &bytes)) return JS_EXCEPTION;
    return JS_NewBool(ctx, utf8_flaw(bytes.data, bytes.size) == bytes.size);
}

// digest(hash, bytes) and digest(hash, bytes, key) -> Uint8Array, undefined for an unknown hash
static JSValue js_digest(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    Bytes data, key;
    uint8_t digest[MOST_DIGEST];
    if (!bytes_of(ctx, argv[1], &data)) return JS_EXCEPTION;
    const char *name = JS_ToCString(ctx, argv[0]);
    if (name == NULL) return JS_EXCEPTION;
    const Hash *hash = hash_named(name);
    JS_FreeCString(ctx, name);
    if (hash == NULL) return JS_UNDEFINED;
    if (JS_IsUndefined(argv[2])) hash->of(data.data, data.size, digest);
    else if (!bytes_of(ctx, argv[2], &key)) return JS_EXCEPTION;
    else if (!hmac(hash, key.data, key.size, data.data, data.size, digest)) return JS_ThrowOutOfMemory(ctx);
    return JS_NewUint8ArrayCopy(ctx, digest, hash->size);
}

// random() -> a number from 0 to 1
static JSValue js_random(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    return JS_NewFloat64(ctx, random_unit());
}

// randomFill(bytes)
static JSValue js_random_fill(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    Bytes bytes;
    if (!bytes_of(ctx, argv[0], &bytes)) return JS_EXCEPTION;
    random_bytes((uint8_t *)bytes.data, bytes.size);
    return JS_UNDEFINED;
}

// attachment() -> the bytes behind the event, as base64 text
static JSValue js_attachment(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    char *out = js_malloc(ctx, base64_room(attachment.size) + 1);
    if (out == NULL) return JS_EXCEPTION;
    JSValue made = JS_NewStringLen(ctx, out, base64_encode(attachment.data, attachment.size, 0, out));
    js_free(ctx, out);
    return made;
}

// json(value) -> true: it is written, and will be handed over as it is; undefined: JSON.stringify must do it
static JSValue js_json(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    switch (json_write(ctx, argv[0])) {
        case JSON_DONE: return JS_TRUE;
        case JSON_FAILED: return JS_EXCEPTION;
        default: return JS_UNDEFINED;
    }
}

// evaluate(source, name, kind, first line): kind is "strict", "sloppy", or "module", which gives [namespace, promise]
static JSValue js_evaluate(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t size;
    int32_t line;
    if (JS_ToInt32(ctx, &line, argv[3])) return JS_EXCEPTION;
    const char *source = JS_ToCStringLen(ctx, &size, argv[0]), *name = JS_ToCString(ctx, argv[1]);
    const char *kind = JS_ToCString(ctx, argv[2]);
    JSValue result = JS_EXCEPTION;
    if (source != NULL && name != NULL && kind != NULL) {
        int flags = is(kind, "strict") ? JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_STRICT : JS_EVAL_TYPE_GLOBAL;
        JSEvalOptions options = {JS_EVAL_OPTIONS_VERSION, flags, name, line};
        result = is(kind, "module") ? run_module(ctx, name, source, size) : JS_Eval2(ctx, source, size, &options);
    }
    JS_FreeCString(ctx, kind);
    JS_FreeCString(ctx, name);
    JS_FreeCString(ctx, source);
    return result;
}

static const JSCFunctionListEntry NATIVES[] = {
    JS_CFUNC_DEF("log", 1, js_log),
    JS_CFUNC_DEF("bytes", 2, js_bytes),
    JS_CFUNC_DEF("text", 2, js_text),
    JS_CFUNC_DEF("isUtf8", 1, js_is_utf8),
    JS_CFUNC_DEF("digest", 3, js_digest),
    JS_CFUNC_DEF("random", 0, js_random),
    JS_CFUNC_DEF("randomFill", 1, js_random_fill),
    JS_CFUNC_DEF("attachment", 0, js_attachment),
    JS_CFUNC_DEF("json", 1, js_json),
    JS_CFUNC_DEF("evaluate", 4, js_evaluate),
    JS_CFUNC_DEF("use", 1, js_use),
};

JSValue new_natives(JSContext *ctx) {
    JSValue natives = JS_NewObject(ctx);
    JS_SetPropertyFunctionList(ctx, natives, NATIVES, sizeof NATIVES / sizeof *NATIVES);
    return natives;
}
