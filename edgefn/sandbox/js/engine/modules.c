// ES modules: where they come from is for the prelude to say.
#include "natives.h"

static JSValue compiled_module(JSContext *ctx, const char *name, const char *source, size_t size) {
    JSEvalOptions options = {JS_EVAL_OPTIONS_VERSION, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY, name, 1};
    JSValue module = JS_Eval2(ctx, source, size, &options);
    if (JS_IsException(module)) return module;
    JSValue meta = JS_GetImportMeta(ctx, JS_VALUE_GET_PTR(module)), url = JS_NewString(ctx, name);
    JS_SetPropertyStr(ctx, meta, "url", JS_IsException(url) ? url : call_hook(hooks.url, 1, &url));
    JS_FreeValue(ctx, url);
    JS_FreeValue(ctx, meta);
    return module;
}

// Runs a module; returns [its namespace, the promise of its end].
JSValue run_module(JSContext *ctx, const char *name, const char *source, size_t size) {
    JSValue module = compiled_module(ctx, name, source, size);
    if (JS_IsException(module)) return module;
    JSModuleDef *definition = JS_VALUE_GET_PTR(module);
    if (JS_ResolveModule(ctx, module) < 0) {
        JS_FreeValue(ctx, module);
        return JS_EXCEPTION;
    }
    JSValue promise = JS_EvalFunction(ctx, module);
    if (JS_IsException(promise)) return promise;
    JSValue pair = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, pair, 0, JS_GetModuleNamespace(ctx, definition));
    JS_SetPropertyUint32(ctx, pair, 1, promise);
    return pair;
}

static char *normalize(JSContext *ctx, const char *base, const char *name, void *opaque) {
    JSValue arguments[] = {JS_NewString(ctx, base), JS_NewString(ctx, name)};
    JSValue found = call_hook(hooks.resolve, 2, arguments);
    JS_FreeValue(ctx, arguments[0]);
    JS_FreeValue(ctx, arguments[1]);
    const char *text = JS_IsException(found) ? NULL : JS_ToCString(ctx, found);
    char *copy = text == NULL ? NULL : js_strdup(ctx, text);
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, found);
    return copy;
}

static int fill_exports(JSContext *ctx, JSModuleDef *module) {
    JSValue exports = JS_GetModulePrivateValue(ctx, module);
    JSPropertyEnum *names;
    uint32_t count;
    int result = JS_GetOwnPropertyNames(ctx, &names, &count, exports, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY);
    if (result == 0) {
        for (uint32_t i = 0; i < count; i++) {
            const char *name = JS_AtomToCString(ctx, names[i].atom);
            JS_SetModuleExport(ctx, module, name, JS_GetProperty(ctx, exports, names[i].atom));
            JS_FreeCString(ctx, name);
        }
        JS_FreePropertyEnum(ctx, names, count);
    }
    JS_FreeValue(ctx, exports);
    return result;
}

static JSModuleDef *module_of_object(JSContext *ctx, const char *name, JSValueConst exports) {
    JSPropertyEnum *names;
    uint32_t count;
    JSModuleDef *module = JS_NewCModule(ctx, name, fill_exports);
    if (module == NULL) return NULL;
    JS_SetModulePrivateValue(ctx, module, JS_DupValue(ctx, exports));
    if (JS_GetOwnPropertyNames(ctx, &names, &count, exports, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) < 0) return NULL;
    for (uint32_t i = 0; i < count; i++) {
        const char *export = JS_AtomToCString(ctx, names[i].atom);
        JS_AddModuleExport(ctx, module, export);
        JS_FreeCString(ctx, export);
    }
    JS_FreePropertyEnum(ctx, names, count);
    return module;
}

// The hook returns the source of a module, or an object with its exports.
static JSModuleDef *load_module(JSContext *ctx, const char *name, void *opaque) {
    JSValue argument = JS_NewString(ctx, name), found = call_hook(hooks.module, 1, &argument);
    JSModuleDef *module = NULL;
    JS_FreeValue(ctx, argument);
    if (JS_IsString(found)) {
        size_t size;
        const char *source = JS_ToCStringLen(ctx, &size, found);
        JSValue compiled = source == NULL ? JS_EXCEPTION : compiled_module(ctx, name, source, size);
        if (!JS_IsException(compiled)) module = JS_VALUE_GET_PTR(compiled);
        JS_FreeValue(ctx, compiled);
        JS_FreeCString(ctx, source);
    } else if (!JS_IsException(found)) {
        module = module_of_object(ctx, name, found);
    }
    JS_FreeValue(ctx, found);
    return module;
}

void modules_start(JSRuntime *rt) { JS_SetModuleLoaderFunc(rt, normalize, load_module, NULL); }
