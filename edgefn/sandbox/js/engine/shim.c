// QuickJS-ng as a WebAssembly guest without imports. The host evaluates a function once, keeps a copy of the memory,
// and each invocation begins as such a copy: `handle`, and `resume` for each answer that the function waits for.
//
// What JavaScript sees of this are the natives, given to the prelude (runtime/*.js) and to nobody else. The prelude
// hands back its hooks; everything with a policy is in there.
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

#define EXPORT(name) __attribute__((export_name(name)))

enum { JS_STACK = 208 * 1024, INPUT = 16 * 1024, LAST_RESORT = 64 * 1024, FIRST_HEAP = 64 * 1024 };
enum { BIT_FAILED = 1u << 31, BIT_ASKS = 1u << 30, LENGTH = BIT_ASKS - 1 };

Shared shared;

static JSRuntime *rt;
static JSContext *ctx;
static JSValue hooks;
static char first_input[INPUT];
static char *input = first_input, *log_text;
static size_t log_room, attachment_at, attachment_size, heap;
static const char *given;

// ------------------------------------------------------------------------------------------------------------- natives

typedef struct {
    const uint8_t *data;
    size_t size;
} Bytes;

static int bytes_of(JSValueConst value, Bytes *bytes) {
    bytes->data = JS_GetUint8Array(ctx, &bytes->size, value);
    if (bytes->data == NULL && bytes->size) return 0;
    return bytes->data != NULL || !JS_HasException(ctx);
}

static JSValue js_log(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    size_t size;
    const char *text = JS_ToCStringLen(c, &size, argv[0]);
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
    JS_FreeCString(c, text);
    return JS_UNDEFINED;
}

static int is(const char *encoding, const char *name) { return encoding != NULL && strcmp(encoding, name) == 0; }

// bytes(text, encoding) -> Uint8Array
static JSValue js_bytes(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    size_t size;
    const char *text = JS_ToCStringLen(c, &size, argv[0]);
    const char *encoding = JS_ToCString(c, argv[1]);
    JSValue made = JS_EXCEPTION;
    if (text != NULL && encoding != NULL) {
        uint8_t *out = is(encoding, "utf8") ? (uint8_t *)text : js_malloc(c, size + 1);
        if (is(encoding, "base64")) size = base64_decode(text, size, out);
        else if (is(encoding, "hex")) size = hex_decode(text, size, out);
        if (out != NULL) made = JS_NewUint8ArrayCopy(c, out, size);
        if (out != (uint8_t *)text) js_free(c, out);
    }
    JS_FreeCString(c, encoding);
    JS_FreeCString(c, text);
    return made;
}

static size_t encoded(const char *encoding, const Bytes *from, char *out) {
    if (is(encoding, "base64")) return base64_encode(from->data, from->size, 0, out);
    if (is(encoding, "base64url")) return base64_encode(from->data, from->size, 1, out);
    if (is(encoding, "hex")) return hex_encode(from->data, from->size, out);
    return utf8_repair(from->data, from->size, (uint8_t *)out);
}

// text(bytes, encoding) -> string
static JSValue js_text(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    Bytes from;
    if (!bytes_of(argv[0], &from)) return JS_EXCEPTION;
    const char *encoding = JS_ToCString(c, argv[1]);
    JSValue made = JS_EXCEPTION;
    if (is(encoding, "utf8") && utf8_flaw(from.data, from.size) == from.size) {
        made = JS_NewStringLen(c, (const char *)from.data, from.size);
    } else if (encoding != NULL) {
        char *out = js_malloc(c, 3 * from.size + 4);
        if (out != NULL) made = JS_NewStringLen(c, out, encoded(encoding, &from, out));
        js_free(c, out);
    }
    JS_FreeCString(c, encoding);
    return made;
}

// isUtf8(bytes) -> boolean
static JSValue js_is_utf8(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    Bytes bytes;
    if (!bytes_of(argv[0], &bytes)) return JS_EXCEPTION;
    return JS_NewBool(c, utf8_flaw(bytes.data, bytes.size) == bytes.size);
}

// digest(hash, bytes) and digest(hash, bytes, key) -> Uint8Array, undefined for an unknown hash
static JSValue js_digest(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    Bytes data, key;
    uint8_t digest[MOST_DIGEST];
    if (!bytes_of(argv[1], &data)) return JS_EXCEPTION;
    const char *name = JS_ToCString(c, argv[0]);
    if (name == NULL) return JS_EXCEPTION;
    const Hash *hash = hash_named(name);
    JS_FreeCString(c, name);
    if (hash == NULL) return JS_UNDEFINED;
    if (argc < 3 || JS_IsUndefined(argv[2])) hash->of(data.data, data.size, digest);
    else if (!bytes_of(argv[2], &key)) return JS_EXCEPTION;
    else if (!hmac(hash, key.data, key.size, data.data, data.size, digest)) return JS_ThrowOutOfMemory(c);
    return JS_NewUint8ArrayCopy(c, digest, hash->size);
}

static JSValue js_random(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    return JS_NewFloat64(c, random_unit());
}

// randomFill(bytes)
static JSValue js_random_fill(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    Bytes bytes;
    if (!bytes_of(argv[0], &bytes)) return JS_EXCEPTION;
    random_bytes((uint8_t *)bytes.data, bytes.size);
    return JS_UNDEFINED;
}

// attachment() -> the bytes behind the event, as base64 text
static JSValue js_attachment(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    char *out = js_malloc(c, base64_room(attachment_size) + 1);
    if (out == NULL) return JS_EXCEPTION;
    size_t size = base64_encode((const uint8_t *)given + attachment_at, attachment_size, 0, out);
    JSValue made = JS_NewStringLen(c, out, size);
    js_free(c, out);
    return made;
}

static JSValue compiled_module(const char *name, const char *source, size_t size) {
    JSEvalOptions options = {JS_EVAL_OPTIONS_VERSION, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY, name, 1};
    return JS_Eval2(ctx, source, size, &options);
}

// Runs a module; returns [its namespace, the promise of its end].
static JSValue run_module(JSContext *c, const char *name, const char *source, size_t size) {
    JSValue module = compiled_module(name, source, size);
    if (JS_IsException(module)) return module;
    JSModuleDef *definition = JS_VALUE_GET_PTR(module);
    if (JS_ResolveModule(c, module) < 0) {
        JS_FreeValue(c, module);
        return JS_EXCEPTION;
    }
    JSValue promise = JS_EvalFunction(c, module);
    if (JS_IsException(promise)) return promise;
    JSValue pair = JS_NewArray(c);
    JS_SetPropertyUint32(c, pair, 0, JS_GetModuleNamespace(c, definition));
    JS_SetPropertyUint32(c, pair, 1, promise);
    return pair;
}

// evaluate(source, name, kind, first line): kind is "strict", "sloppy" or "module"
static JSValue js_evaluate(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    size_t size;
    int32_t line;
    if (JS_ToInt32(c, &line, argv[3])) return JS_EXCEPTION;
    const char *source = JS_ToCStringLen(c, &size, argv[0]), *name = JS_ToCString(c, argv[1]);
    const char *kind = JS_ToCString(c, argv[2]);
    JSValue result = JS_EXCEPTION;
    if (source != NULL && name != NULL && kind != NULL) {
        int flags = is(kind, "strict") ? JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_STRICT : JS_EVAL_TYPE_GLOBAL;
        JSEvalOptions options = {JS_EVAL_OPTIONS_VERSION, flags, name, line};
        result = is(kind, "module") ? run_module(c, name, source, size) : JS_Eval2(c, source, size, &options);
    }
    JS_FreeCString(c, kind);
    JS_FreeCString(c, name);
    JS_FreeCString(c, source);
    return result;
}

static JSValue js_use(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    JS_FreeValue(c, hooks);
    hooks = JS_DupValue(c, argv[0]);
    return JS_UNDEFINED;
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
    JS_CFUNC_DEF("evaluate", 4, js_evaluate),
    JS_CFUNC_DEF("use", 1, js_use),
};

// ------------------------------------------------------------------------------------------------------------- modules

static JSValue hook(const char *name, int argc, JSValueConst *argv) {
    JSValue function = JS_GetPropertyStr(ctx, hooks, name);
    JSValue result = JS_IsException(function) ? function : JS_Call(ctx, function, JS_UNDEFINED, argc, argv);
    JS_FreeValue(ctx, function);
    return result;
}

static char *normalize(JSContext *c, const char *base, const char *name, void *opaque) {
    JSValue arguments[] = {JS_NewString(c, base), JS_NewString(c, name)};
    JSValue found = hook("resolve", 2, (JSValueConst *)arguments);
    JS_FreeValue(c, arguments[0]);
    JS_FreeValue(c, arguments[1]);
    const char *text = JS_IsException(found) ? NULL : JS_ToCString(c, found);
    char *copy = text == NULL ? NULL : js_strdup(c, text);
    JS_FreeCString(c, text);
    JS_FreeValue(c, found);
    return copy;
}

static int fill_exports(JSContext *c, JSModuleDef *module) {
    JSValue exports = JS_GetModulePrivateValue(c, module);
    JSPropertyEnum *names;
    uint32_t count;
    int result = JS_GetOwnPropertyNames(c, &names, &count, exports, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY);
    if (result == 0) {
        for (uint32_t i = 0; i < count; i++) {
            const char *name = JS_AtomToCString(c, names[i].atom);
            JS_SetModuleExport(c, module, name, JS_GetProperty(c, exports, names[i].atom));
            JS_FreeCString(c, name);
        }
        JS_FreePropertyEnum(c, names, count);
    }
    JS_FreeValue(c, exports);
    return result;
}

static JSModuleDef *module_of_object(JSContext *c, const char *name, JSValueConst exports) {
    JSPropertyEnum *names;
    uint32_t count;
    JSModuleDef *module = JS_NewCModule(c, name, fill_exports);
    if (module == NULL) return NULL;
    JS_SetModulePrivateValue(c, module, JS_DupValue(c, exports));
    if (JS_GetOwnPropertyNames(c, &names, &count, exports, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) < 0) return NULL;
    for (uint32_t i = 0; i < count; i++) {
        const char *export = JS_AtomToCString(c, names[i].atom);
        JS_AddModuleExport(c, module, export);
        JS_FreeCString(c, export);
    }
    JS_FreePropertyEnum(c, names, count);
    return module;
}

// The hook returns the source of a module, or an object with its exports.
static JSModuleDef *load_module(JSContext *c, const char *name, void *opaque) {
    JSValue argument = JS_NewString(c, name), found = hook("module", 1, (JSValueConst *)&argument);
    JSModuleDef *module = NULL;
    JS_FreeValue(c, argument);
    if (JS_IsString(found)) {
        size_t size;
        const char *source = JS_ToCStringLen(c, &size, found);
        JSValue compiled = source == NULL ? JS_EXCEPTION : compiled_module(name, source, size);
        if (!JS_IsException(compiled)) module = JS_VALUE_GET_PTR(compiled);
        JS_FreeValue(c, compiled);
        JS_FreeCString(c, source);
    } else if (!JS_IsException(found)) {
        module = module_of_object(c, name, found);
    }
    JS_FreeValue(c, found);
    return module;
}

// ---------------------------------------------------------------------------------------------------------- host calls

static uint64_t packed(const char *data, size_t size, uint32_t bits) {
    return (uint64_t)(uintptr_t)data << 32 | bits | (size < LENGTH ? size : LENGTH);
}

static uint64_t told(JSValue text, uint32_t bits) {
    size_t size;
    const char *data = JS_IsException(text) ? NULL : JS_ToCStringLen(ctx, &size, text);
    static const char LOST[] = "{\"errorType\":\"InternalError\",\"errorMessage\":\"out of memory\",\"trace\":[]}";
    return data == NULL ? packed(LOST, sizeof LOST - 1, BIT_FAILED) : packed(data, size, bits);
}

static void limit_heap(size_t room) {
    JSMemoryUsage usage;
    JS_ComputeMemoryUsage(rt, &usage);
    size_t used = (size_t)usage.malloc_size;
    JS_SetMemoryLimit(rt, used + room);
    JS_SetGCThreshold(rt, used + room / 2);
}

// The room for telling what happened is more than the heap had: often it is that there was none left.
static uint64_t failed(void) {
    JSValue error = JS_GetException(ctx);
    JS_SetMemoryLimit(rt, 0);
    return told(hook("describe", 1, (JSValueConst *)&error), BIT_FAILED);
}

// Runs until nothing can go on by itself. The hook `outcome` returns [kind, text]; kind is 0 or a bit.
static uint64_t settle(void) {
    JSContext *at;
    int status;
    while ((status = JS_ExecutePendingJob(rt, &at)) > 0) {
    }
    if (status < 0) return failed();
    JSValue outcome = hook("outcome", 0, NULL);
    if (JS_IsException(outcome)) return failed();
    uint32_t asks = 0;
    JSValue kind = JS_GetPropertyUint32(ctx, outcome, 0), text = JS_GetPropertyUint32(ctx, outcome, 1);
    JS_ToUint32(ctx, &asks, kind);
    return told(text, asks ? BIT_ASKS : 0);
}

EXPORT("shared") Shared *shared_page(void) { return &shared; }

EXPORT("init") int init(void) {
    shared.input_at = (uint32_t)(uintptr_t)first_input;
    shared.input_size = INPUT - 1;
    rt = JS_NewRuntime();
    if (rt == NULL || (ctx = JS_NewContext(rt)) == NULL) return 1;
    JS_SetMaxStackSize(rt, JS_STACK);
    JS_SetGCThreshold(rt, SIZE_MAX);
    JS_SetModuleLoaderFunc(rt, normalize, load_module, NULL);
    hooks = JS_UNDEFINED;
    return 0;
}

// Returns where `size` bytes can be written, or 0. What was there before is gone.
EXPORT("alloc") char *alloc(uint32_t size) {
    if (size <= shared.input_size) return input;
    if (size >= LENGTH) return NULL;
    if (input != first_input) free(input);
    input = malloc(size + 1);
    if (input == NULL) input = first_input, size = INPUT - 1;
    shared.input_at = (uint32_t)(uintptr_t)input;
    shared.input_size = size;
    return input == first_input ? NULL : input;
}

// Evaluates the prelude, a function expression, and gives it the natives.
EXPORT("prepare") uint64_t prepare(uint32_t size) {
    input[size] = 0;
    JSEvalOptions options = {JS_EVAL_OPTIONS_VERSION, JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_STRICT, "edgefn", 1};
    JSValue prelude = JS_Eval2(ctx, input, size, &options);
    if (JS_IsException(prelude)) return failed();
    JSValue natives = JS_NewObject(ctx);
    JS_SetPropertyFunctionList(ctx, natives, NATIVES, sizeof NATIVES / sizeof *NATIVES);
    JSValue done = JS_Call(ctx, prelude, JS_UNDEFINED, 1, (JSValueConst *)&natives);
    JS_FreeValue(ctx, natives);
    JS_FreeValue(ctx, prelude);
    if (JS_IsException(done)) return failed();
    JS_FreeValue(ctx, done);
    return settle();
}

static uint64_t enter(const char *name, uint32_t size, uint32_t attached) {
    attachment_at = size + 1;
    attachment_size = attached;
    given = input;
    input[size] = 0;
    JS_UpdateStackTop(rt);
    random_start();
    JSValue event = JS_ParseJSON(ctx, input, size, "<event>");
    if (JS_IsException(event)) return failed();
    JSValue started = hook(name, 1, (JSValueConst *)&event);
    JS_FreeValue(ctx, event);
    if (JS_IsException(started)) return failed();
    JS_FreeValue(ctx, started);
    return settle();
}

// Evaluates a function, told about in JSON. `heap_size` is what it may use beyond what is there.
EXPORT("load") uint64_t load(uint32_t size, uint32_t heap_size) {
    heap = heap_size;
    limit_heap(heap);
    return enter("load", size, 0);
}

// Makes the memory fit to be copied: no garbage, free room for a usual invocation. Returns its size in pages.
EXPORT("rest") int rest(void) {
    if (input != first_input) free(input);
    input = first_input;
    shared.input_at = (uint32_t)(uintptr_t)first_input;
    shared.input_size = INPUT - 1;
    JS_RunGC(rt);
    memory_reserve(FIRST_HEAP);
    limit_heap(heap);
    return (int)__builtin_wasm_memory_size(0);
}

// Handles an event: JSON, a zero byte, and `attached` bytes of a body.
EXPORT("handle") uint64_t handle(uint32_t size, uint32_t attached) { return enter("handle", size, attached); }

// Goes on with what the function asked for: for each question the answer's length (-1: none) and bytes.
EXPORT("resume") uint64_t resume(uint32_t size) {
    JSValue answers = JS_NewUint8ArrayCopy(ctx, (const uint8_t *)input, size);
    if (JS_IsException(answers)) return failed();
    JSValue done = hook("resume", 1, (JSValueConst *)&answers);
    JS_FreeValue(ctx, answers);
    if (JS_IsException(done)) return failed();
    JS_FreeValue(ctx, done);
    return settle();
}
