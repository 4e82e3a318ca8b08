// The natives, and what they need from the others.
#ifndef EDGEFN_NATIVES_H
#define EDGEFN_NATIVES_H

#include "quickjs.h"

JSValue new_natives(JSContext *ctx);

// shim.c
extern struct Attachment {
    const uint8_t *data;
    size_t size;
} attachment;

JSValue js_use(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv);
JSValue call_hook(JSValueConst hook, int argc, JSValue *argv);

// modules.c
typedef struct {
    JSValue load, handle, resume, outcome, describe, resolve, module, url;
} Hooks;

extern Hooks hooks;

void modules_start(JSRuntime *rt);
JSValue run_module(JSContext *ctx, const char *name, const char *source, size_t size);

#endif
