// Plain values as JSON.
#ifndef EDGEFN_JSON_H
#define EDGEFN_JSON_H

#include "quickjs.h"

typedef enum {
    JSON_DONE,
    JSON_NOTHING,  // undefined, which JSON does not know
    JSON_UNUSUAL,  // JSON.stringify must do it: classes, toJSON, cycles, great depth, or too little memory
    JSON_FAILED,   // an exception is pending
} JsonResult;

void json_start(JSContext *ctx);
JsonResult json_write(JSContext *ctx, JSValueConst value);
// What was written last, until the next time.
const char *json_text(size_t *size);

#endif
