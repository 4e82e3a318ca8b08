// QuickJS-ng as a WebAssembly guest without imports. The host evaluates a function once, keeps a copy of the memory,
// and each invocation begins as such a copy: `handle`, and `resume` for each answer that the function waits for.
//
// What JavaScript sees of this are the natives, given to the prelude (runtime/*.js) and to nobody else. The prelude
// hands back its hooks; everything with a policy is in there.
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "json.h"
#include "natives.h"

#define EXPORT(name) __attribute__((export_name(name)))

enum { JS_STACK = 144 * 1024, INPUT = 16 * 1024, LAST_RESORT = 64 * 1024, FIRST_HEAP = 64 * 1024 };
enum { BIT_FAILED = 1u << 31, BIT_ASKS = 1u << 30, LENGTH = BIT_ASKS - 1 };

Shared shared;
Hooks hooks;
struct Attachment attachment;

static JSRuntime *rt;
static JSContext *ctx;
static char first_input[INPUT];
static char *input = first_input;
static size_t heap;

JSValue call_hook(JSValueConst hook, int argc, JSValue *argv) {
    return JS_Call(ctx, hook, JS_UNDEFINED, argc, (JSValueConst *)argv);
}

// use({load, handle, resume, outcome, describe, resolve, module, url})
JSValue js_use(JSContext *c, JSValueConst self, int argc, JSValueConst *argv) {
    hooks.load = JS_GetPropertyStr(c, argv[0], "load");
    hooks.handle = JS_GetPropertyStr(c, argv[0], "handle");
    hooks.resume = JS_GetPropertyStr(c, argv[0], "resume");
    hooks.outcome = JS_GetPropertyStr(c, argv[0], "outcome");
    hooks.describe = JS_GetPropertyStr(c, argv[0], "describe");
    hooks.resolve = JS_GetPropertyStr(c, argv[0], "resolve");
    hooks.module = JS_GetPropertyStr(c, argv[0], "module");
    hooks.url = JS_GetPropertyStr(c, argv[0], "url");
    return JS_UNDEFINED;
}

static uint64_t packed(const char *data, size_t size, uint32_t bits) {
    return (uint64_t)(uintptr_t)data << 32 | bits | (size < LENGTH ? size : LENGTH);
}

// Hands text over: a string, or true for what was written as JSON last.
static uint64_t told(JSValue text, uint32_t bits) {
    size_t size;
    if (JS_IsBool(text)) {
        const char *written = json_text(&size);
        return packed(written, size, bits);
    }
    const char *data = JS_IsException(text) ? NULL : JS_ToCStringLen(ctx, &size, text);
    static const char LOST[] = "{\"errorType\":\"InternalError\",\"errorMessage\":\"out of memory\",\"trace\":[]}";
    return data == NULL ? packed(LOST, sizeof LOST - 1, BIT_FAILED) : packed(data, size, bits);
}

static void limit_heap(size_t room) {
    JSMemoryUsage usage;
    JS_ComputeMemoryUsage(rt, &usage);
    JS_SetGCThreshold(rt, (size_t)usage.malloc_size + room / 2);
    memory_limit(room, LAST_RESORT);
}

// The room for telling what happened is more than the heap had: often it is that there was none left.
static uint64_t failed(void) {
    JSValue error = JS_GetException(ctx);
    memory_limit(SIZE_MAX, 0);
    return told(call_hook(hooks.describe, 1, &error), BIT_FAILED);
}

// Runs until nothing can go on by itself. The hook `outcome` returns [kind, text]; kind is 0 or a bit.
static uint64_t settle(void) {
    JSContext *at;
    int status;
    while ((status = JS_ExecutePendingJob(rt, &at)) > 0) {
    }
    if (status < 0) return failed();
    JSValue outcome = call_hook(hooks.outcome, 0, NULL);
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
    modules_start(rt);
    json_start(ctx);
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
    JSValue natives = new_natives(ctx);
    JSValue done = JS_Call(ctx, prelude, JS_UNDEFINED, 1, (JSValueConst *)&natives);
    JS_FreeValue(ctx, natives);
    JS_FreeValue(ctx, prelude);
    if (JS_IsException(done)) return failed();
    JS_FreeValue(ctx, done);
    return settle();
}

// A hook that returns text, or true, has come to an end at once.
static uint64_t enter(JSValueConst hook, uint32_t size, uint32_t attached) {
    attachment = (struct Attachment){(uint8_t *)input + size + 1, attached};
    input[size] = 0;
    JS_UpdateStackTop(rt);
    random_start();
    JSValue event = JS_ParseJSON(ctx, input, size, "<event>");
    if (JS_IsException(event)) return failed();
    JSValue started = call_hook(hook, 1, &event);
    JS_FreeValue(ctx, event);
    if (JS_IsException(started)) return failed();
    return JS_IsString(started) || JS_IsBool(started) ? told(started, 0) : settle();
}

// Evaluates a function, told about in JSON. `heap_size` is what it may use beyond what is there.
EXPORT("load") uint64_t load(uint32_t size, uint32_t heap_size) {
    heap = heap_size;
    limit_heap(heap);
    return enter(hooks.load, size, 0);
}

// Makes the memory fit to be copied: no garbage, free room for a usual invocation. Returns its size in pages.
EXPORT("rest") int rest(void) {
    if (input != first_input) free(input);
    input = first_input;
    shared.input_at = (uint32_t)(uintptr_t)first_input;
    shared.input_size = INPUT - 1;
    JS_RunGC(rt);
    memory_reserve(FIRST_HEAP);
    if (heap) limit_heap(heap);  // a runtime has none yet: what describes its function may be large
    return (int)__builtin_wasm_memory_size(0);
}

// Handles an event: JSON, a zero byte, and `attached` bytes of a body.
EXPORT("handle") uint64_t handle(uint32_t size, uint32_t attached) { return enter(hooks.handle, size, attached); }

// Goes on with what the function asked for: for each question the answer's length (-1: none) and bytes.
EXPORT("resume") uint64_t resume(uint32_t size) {
    JSValue answers = JS_NewUint8ArrayCopy(ctx, (const uint8_t *)input, size);
    if (JS_IsException(answers)) return failed();
    JSValue done = call_hook(hooks.resume, 1, &answers);
    JS_FreeValue(ctx, answers);
    if (JS_IsException(done)) return failed();
    JS_FreeValue(ctx, done);
    return settle();
}
